"""Prove that the audit log is what was sealed.

Each block: numbers without a gap, signature, the hash of the block before, transaction ranges that join; then every
row of it, hashed anew from what stands in it. Nothing of this trusts a function in the database.

What can be found out:

    a row changed, removed, put in, or put in another's place     named, once it is sealed; before that only when its
                                                                  hash was not made anew as well
    a block changed, removed from the middle, put in, forged      named
    the newest blocks cut off, their rows left                    `warnings`: rows that should long be sealed
    the newest blocks and their rows cut off                      `warnings`: the newest seal is old. Not to be told
                                                                  from a time in which nothing was written: compare
                                                                  `last_block` with an earlier report
    everything replaced by who has the sealing key                not from here: keep the key, and reports, elsewhere
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from sent.infra.audit import repository
from sent.infra.audit.key import key_id
from sent.infra.audit.merkle import MerkleTree
from sent.infra.audit.repository import Block
from sent.infra.audit.seal import BEFORE_THE_FIRST
from sent.infra.db import Connection, Database, SystemReason

SEALED_WITHIN = timedelta(hours=1)
"""The sealing job runs every few minutes; a transaction may take a while."""
QUIET_FOR = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class VerifyReport:
    blocks: int
    """Sealed blocks that were found right, in order."""
    rows: int
    """Rows in them."""
    unsealed_rows: int
    """Newer rows, right in themselves, that wait for their block."""
    last_block: str
    """When the newest right block was sealed; empty when there is none."""
    problem: str | None
    """The first thing that is wrong, in words."""
    warnings: tuple[str, ...] = ()
    """What a person should look into, though nothing is proved to be wrong; sentences."""

    @property
    def ok(self) -> bool:
        return self.problem is None


@dataclass(slots=True)
class _Progress:
    blocks: int = 0
    rows: int = 0
    unsealed_rows: int = 0
    last: Block | None = None
    oldest_unsealed: datetime | None = None

    def report(self, problem: str | None, now: datetime) -> VerifyReport:
        return VerifyReport(
            self.blocks,
            self.rows,
            self.unsealed_rows,
            self.last.sealed_at if self.last else "",
            problem,
            tuple(self._warnings(now)),
        )

    def _warnings(self, now: datetime) -> Iterator[str]:
        if self.oldest_unsealed is not None and now - self.oldest_unsealed > SEALED_WITHIN:
            yield (
                f"Of the {self.unsealed_rows} entries that are not sealed, the oldest is of"
                f" {self.oldest_unsealed:%Y-%m-%d %H:%M} UTC: the sealing job does not run, or the newest seals were"
                " removed. Compare with an earlier report."
            )
        if self.last is not None and now - datetime.fromisoformat(self.last.sealed_at) > QUIET_FOR:
            yield (
                f"The newest seal is of {self.last.sealed_at}: nothing was written since, or the newest seals were"
                " removed with their entries. Compare with an earlier report."
            )


async def verify(database: Database, public_key: Ed25519PublicKey, now: datetime | None = None) -> VerifyReport:
    """Reads the whole log. ``now`` (UTC; by default the time of day) is what `VerifyReport.warnings` are told by."""
    async with database.system(SystemReason.SEAL_AUDIT) as connection:
        progress = _Progress()
        problem = await _verify(connection, public_key, progress)
        return progress.report(problem, now or datetime.now(UTC))


async def _verify(connection: Connection, public_key: Ed25519PublicKey, progress: _Progress) -> str | None:
    eras = await (await connection.execute(repository.ERAS_SQL)).fetchall()
    first_xids: dict[int, str] = dict(eras)
    for block in await repository.blocks(connection, repository.BLOCKS_SQL):
        problem = _wrong_seal(block, progress.last, public_key, first_xids) or await _wrong_rows(
            connection, block, progress
        )
        if problem is not None:
            return problem
        progress.last = block
        progress.blocks += 1
    stray = await (await connection.execute(repository.STRAY_ROWS_SQL)).fetchone()
    if stray and stray[0]:
        return f"{stray[0]} rows carry transaction numbers from before the log began: they were put in by hand"
    return await _wrong_unsealed(connection, eras, progress)


def _wrong_seal(
    block: Block, last: Block | None, public_key: Ed25519PublicKey, first_xids: dict[int, str]
) -> str | None:
    name = f"block {block.number} (sealed {block.sealed_at})"
    expected = last.number + 1 if last else 1
    if block.number != expected:
        return f"block {expected} is missing: the next that is there is {name}"
    if block.key_id != key_id(public_key):
        return (
            f"{name} is sealed with another key ({block.key_id}) than the given one ({key_id(public_key)}): verify with"
            " the key that was in use then"
        )
    try:
        public_key.verify(block.signature, block.signed_bytes())
    except InvalidSignature:
        return f"{name} is not what was signed: its seal was changed"
    if block.previous != (last.chain_hash() if last else BEFORE_THE_FIRST):
        return f"{name} does not follow the block before it: a block was replaced"
    starts_at = last.to_xid if last and last.era == block.era else first_xids.get(block.era)
    if block.from_xid != starts_at:
        return f"{name} does not begin where the block before it ends (transaction {starts_at}, not {block.from_xid})"
    return None


async def _wrong_rows(connection: Connection, block: Block, progress: _Progress) -> str | None:
    tree = MerkleTree()
    async for row in repository.rows(connection, block.era, block.from_xid, block.to_xid):
        if row.recomputed() != row.sha256:
            return f"{_row_in_words(row)} was changed after it was written (it is in block {block.number})"
        tree.add(row.sha256)
    if tree.leaves != block.row_count:
        verb = "were removed" if tree.leaves < block.row_count else "were added"
        return (
            f"block {block.number} (sealed {block.sealed_at}) was sealed over {block.row_count} rows and has"
            f" {tree.leaves} now: {abs(tree.leaves - block.row_count)} {verb}"
        )
    if tree.root() != block.merkle_root:
        return f"block {block.number} (sealed {block.sealed_at}) has other rows than were sealed: one was replaced"
    progress.rows += tree.leaves
    return None


async def _wrong_unsealed(connection: Connection, eras: Sequence[tuple[int, str]], progress: _Progress) -> str | None:
    last = progress.last
    for era, first_xid in eras:
        if last is not None and era < last.era:
            continue
        from_xid = last.to_xid if last is not None and era == last.era else first_xid
        async for row in repository.rows(connection, era, from_xid, None):
            if row.recomputed() != row.sha256:
                return f"{_row_in_words(row)} was changed after it was written (it is not sealed yet)"
            progress.unsealed_rows += 1
            written = datetime.fromisoformat(row.at)
            if progress.oldest_unsealed is None or written < progress.oldest_unsealed:
                progress.oldest_unsealed = written
    return None


def _row_in_words(row: repository.Row) -> str:
    return f"the entry number {row.seq} of {row.at} ({row.action} of {row.subject} {row.row_id})"
