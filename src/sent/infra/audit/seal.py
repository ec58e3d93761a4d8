"""Seal what was written to the audit log since the last time.

A block covers the rows of all transactions in [from_xid, to_xid). `to_xid` is the oldest transaction that is still
running, so every transaction of the block is over and none can add a row to it later: a commit that comes late is in
the next block. Ordered by row number instead, it would have fallen behind the last seal and never been sealed.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import UTC, datetime

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sent.infra.audit import repository
from sent.infra.audit.key import key_id
from sent.infra.audit.merkle import MerkleTree
from sent.infra.audit.repository import Block
from sent.infra.db import Connection, Database, SystemReason

BEFORE_THE_FIRST = bytes(32)


@dataclass(frozen=True, slots=True)
class SealResult:
    blocks: int
    rows: int


async def seal(database: Database, key: Ed25519PrivateKey) -> SealResult:
    """Also makes the partitions of the coming months. Run again and again by a job; one node at a time."""
    sealed = []
    async with database.system(SystemReason.SEAL_AUDIT) as connection:
        # A transaction of its own: a new partition locks the whole log, which must not last as long as the sealing.
        await connection.execute(repository.MAKE_PARTITIONS_SQL)
    async with database.system(SystemReason.SEAL_AUDIT) as connection:
        await connection.execute(repository.LOCK_SQL)
        last_blocks = await repository.blocks(connection, repository.LAST_BLOCK_SQL)
        last = last_blocks[0] if last_blocks else None
        for era, from_xid, to_xid in await _open_ranges(connection, last):
            block = await _block(connection, key, last, era, from_xid, to_xid)
            if block is not None:
                sealed.append(block)
                last = block
    return SealResult(len(sealed), sum(block.row_count for block in sealed))


async def _open_ranges(connection: Connection, last: Block | None) -> list[tuple[int, str, str]]:
    """What is not sealed: the rest of eras that are over, and the present one up to the oldest running transaction."""
    eras = await (await connection.execute(repository.ERAS_SQL)).fetchall()
    ranges = []
    for era, first_xid in eras:
        if last is not None and era < last.era:
            continue
        from_xid = last.to_xid if last is not None and era == last.era else first_xid
        if era == eras[-1][0]:
            end = await (await connection.execute(repository.FINISHED_BELOW_SQL)).fetchone()
        else:
            end = await (await connection.execute(repository.END_OF_ERA_SQL, {"era": era})).fetchone()
        if end is not None and int(end[0]) > int(from_xid):
            ranges.append((era, from_xid, end[0]))
    return ranges


async def _block(
    connection: Connection, key: Ed25519PrivateKey, last: Block | None, era: int, from_xid: str, to_xid: str
) -> Block | None:
    tree = MerkleTree()
    async for row in repository.rows(connection, era, from_xid, to_xid):
        tree.add(row.sha256)
    if not tree.leaves:
        return None
    unsigned = Block(
        number=last.number + 1 if last else 1,
        era=era,
        from_xid=from_xid,
        to_xid=to_xid,
        row_count=tree.leaves,
        merkle_root=tree.root(),
        previous=last.chain_hash() if last else BEFORE_THE_FIRST,
        sealed_at=datetime.now(UTC).isoformat(timespec="seconds"),
        key_id=key_id(key.public_key()),
        signature=b"",
    )
    block = replace(unsigned, signature=key.sign(unsigned.signed_bytes()))
    await connection.execute(
        repository.ADD_BLOCK_SQL,
        {name: getattr(block, name) for name in Block.__slots__},
    )
    return block
