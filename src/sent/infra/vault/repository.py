"""The SQL of the vault."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID

from psycopg import AsyncConnection
from psycopg.rows import class_row

# A row of the caller's own transaction may still be rolled back, so it must not be cached. created_at is now(),
# which is the start of the transaction, also inside a savepoint: equal means ours (or, harmlessly, the same µs).
READ_ACTIVE_KEY_SQL: LiteralString = """
    SELECT id, sealed_key, created_at <> now() AS committed
    FROM sent.vault_active_key(%(organization_id)s)
"""

READ_KEY_SQL: LiteralString = """
    SELECT id, sealed_key, created_at <> now() AS committed
    FROM sent.vault_key(%(organization_id)s, %(key_id)s)
"""

INSERT_KEY_SQL: LiteralString = """
    INSERT INTO organization_keys (id, organization_id, sealed_key)
    VALUES (%(id)s, %(organization_id)s, %(sealed_key)s)
    ON CONFLICT (organization_id) WHERE retired_at IS NULL DO NOTHING
"""

LOCK_ORGANIZATION_SQL: LiteralString = """
    SELECT pg_advisory_xact_lock(hashtextextended('vault ' || %(organization_id)s::text, 0))
"""

RETIRE_KEY_SQL: LiteralString = """
    UPDATE organization_keys SET retired_at = now()
    WHERE organization_id = %(organization_id)s AND retired_at IS NULL
"""

READ_WRAPPED_OTHERWISE_SQL: LiteralString = """
    SELECT id, organization_id, sealed_key
    FROM organization_keys
    WHERE substring(sealed_key FROM 2 FOR 16) <> uuid_send(%(master_key_id)s)
    ORDER BY id
    FOR UPDATE
"""

READ_WRAPPING_KEYS_SQL: LiteralString = """
    SELECT DISTINCT substring(sealed_key FROM 2 FOR 16) FROM organization_keys
"""

UPDATE_WRAPPING_SQL: LiteralString = """
    UPDATE organization_keys SET sealed_key = %(sealed_key)s WHERE id = %(id)s
"""


@dataclass(frozen=True, slots=True, repr=False)
class KeyRow:
    id: UUID
    sealed_key: bytes
    committed: bool


@dataclass(frozen=True, slots=True, repr=False)
class WrappedKeyRow:
    id: UUID
    organization_id: UUID
    sealed_key: bytes


async def read_active_key(conn: AsyncConnection, organization_id: UUID) -> KeyRow | None:
    async with conn.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(READ_ACTIVE_KEY_SQL, {"organization_id": organization_id})
        return await cursor.fetchone()


async def read_key(conn: AsyncConnection, organization_id: UUID, key_id: UUID) -> KeyRow | None:
    async with conn.cursor(row_factory=class_row(KeyRow)) as cursor:
        await cursor.execute(READ_KEY_SQL, {"organization_id": organization_id, "key_id": key_id})
        return await cursor.fetchone()


async def insert_key(conn: AsyncConnection, key_id: UUID, organization_id: UUID, sealed_key: bytes) -> None:
    """Does nothing when the organization has an active key, or gets one from a transaction that ends first."""
    await conn.execute(INSERT_KEY_SQL, {"id": key_id, "organization_id": organization_id, "sealed_key": sealed_key})


async def retire_key(conn: AsyncConnection, organization_id: UUID) -> None:
    """After this the caller's transaction is the only one that may insert the next key."""
    await conn.execute(LOCK_ORGANIZATION_SQL, {"organization_id": organization_id})
    await conn.execute(RETIRE_KEY_SQL, {"organization_id": organization_id})


async def read_wrapped_otherwise(conn: AsyncConnection, master_key_id: UUID) -> list[WrappedKeyRow]:
    async with conn.cursor(row_factory=class_row(WrappedKeyRow)) as cursor:
        await cursor.execute(READ_WRAPPED_OTHERWISE_SQL, {"master_key_id": master_key_id})
        return await cursor.fetchall()


async def update_wrapping(conn: AsyncConnection, key_id: UUID, sealed_key: bytes) -> None:
    await conn.execute(UPDATE_WRAPPING_SQL, {"id": key_id, "sealed_key": sealed_key})


async def read_wrapping_keys(conn: AsyncConnection) -> set[UUID]:
    """The ids of the master keys that wrapped what is there."""
    rows = await (await conn.execute(READ_WRAPPING_KEYS_SQL)).fetchall()
    return {UUID(bytes=bytes(row[0])) for row in rows}
