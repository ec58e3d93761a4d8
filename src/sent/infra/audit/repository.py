"""The SQL of recording, sealing and verifying.

Transaction numbers (xid8) travel as text, rows in the text that was hashed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import LiteralString

from psycopg.rows import class_row

from sent.infra.audit.canonical import canonical, digest
from sent.infra.db import Connection

_FETCH = 500  # rows hashed between two turns of the event loop

RECORD_SQL: LiteralString = """
SELECT sent.record_audit(%(action)s::text, %(subject)s::text, %(row_id)s::text, %(details)s::jsonb)"""
MAKE_PARTITIONS_SQL: LiteralString = "SELECT sent.make_audit_partitions()"
LOCK_SQL: LiteralString = "SELECT pg_advisory_xact_lock(1396790857)"
# All transactions below it are over; none of them can write a row any more.
FINISHED_BELOW_SQL: LiteralString = "SELECT pg_snapshot_xmin(pg_current_snapshot())::text"
ERAS_SQL: LiteralString = "SELECT era, first_xid::text FROM sent.audit_eras ORDER BY era"
END_OF_ERA_SQL: LiteralString = """
SELECT (xid::text::numeric + 1)::text FROM sent.audit WHERE era = %(era)s ORDER BY xid DESC LIMIT 1"""

BLOCKS_SQL: LiteralString = """
SELECT number, era, from_xid::text, to_xid::text, row_count, merkle_root, previous, sealed_at, key_id, signature
FROM sent.audit_blocks ORDER BY number"""
LAST_BLOCK_SQL: LiteralString = """
SELECT number, era, from_xid::text, to_xid::text, row_count, merkle_root, previous, sealed_at, key_id, signature
FROM sent.audit_blocks ORDER BY number DESC LIMIT 1"""
ADD_BLOCK_SQL: LiteralString = """
INSERT INTO sent.audit_blocks
  (number, era, from_xid, to_xid, row_count, merkle_root, previous, sealed_at, key_id, signature)
VALUES (%(number)s, %(era)s, %(from_xid)s::xid8, %(to_xid)s::xid8, %(row_count)s, %(merkle_root)s, %(previous)s,
        %(sealed_at)s, %(key_id)s, %(signature)s)"""

ROWS_SQL: LiteralString = """
SELECT era::text, xid::text, seq, at::text, organization_id::text, actor, action, subject, row_id, delta::text, sha256
FROM sent.audit
WHERE era = %(era)s AND xid >= %(from_xid)s::xid8 AND (%(to_xid)s::text IS NULL OR xid < %(to_xid)s::xid8)
ORDER BY era, xid, seq"""
STRAY_ROWS_SQL: LiteralString = """
SELECT count(*) FROM sent.audit a LEFT JOIN sent.audit_eras e ON e.era = a.era
WHERE e.era IS NULL OR a.xid < e.first_xid"""


@dataclass(frozen=True, slots=True)
class Block:
    number: int
    era: int
    from_xid: str
    to_xid: str
    """Excluded."""
    row_count: int
    merkle_root: bytes
    previous: bytes
    """`chain_hash` of the block before; 32 zero octets for the first."""
    sealed_at: str
    key_id: str
    signature: bytes

    def signed_bytes(self) -> bytes:
        return canonical(
            (
                "sent audit block 1",
                str(self.number),
                str(self.era),
                self.from_xid,
                self.to_xid,
                str(self.row_count),
                self.merkle_root.hex(),
                self.previous.hex(),
                self.sealed_at,
                self.key_id,
            )
        )

    def chain_hash(self) -> bytes:
        return digest((self.signed_bytes().decode(), self.signature.hex()))


@dataclass(frozen=True, slots=True)
class Row:
    era: str
    xid: str
    seq: int
    at: str
    organization_id: str | None
    actor: str
    action: str
    subject: str
    row_id: str
    delta: str
    sha256: bytes

    def recomputed(self) -> bytes:
        return digest(
            (
                *(self.era, self.xid, self.at, self.organization_id, self.actor, self.action, self.subject),
                *(self.row_id, self.delta),
            )
        )


async def blocks(connection: Connection, query: LiteralString) -> list[Block]:
    async with connection.cursor(row_factory=class_row(Block)) as cursor:
        return await (await cursor.execute(query)).fetchall()


async def rows(connection: Connection, era: int, from_xid: str, to_xid: str | None) -> AsyncIterator[Row]:
    """In the order of sealing, a part at a time."""
    async with connection.cursor("audit_rows", row_factory=class_row(Row)) as cursor:
        await cursor.execute(ROWS_SQL, {"era": era, "from_xid": from_xid, "to_xid": to_xid})
        while part := await cursor.fetchmany(_FETCH):
            for row in part:
                yield row
