"""The SQL of recordings. Each change names the states that it may start from, so doing it twice does nothing."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import LiteralString
from uuid import UUID

from psycopg.rows import class_row

from sent.infra.db import Connection
from sent.recordings.models import Recording

READ_SQL: LiteralString = """
    SELECT id, organization_id, call_id, state, sealed_key, store_key, started_at, ended_at, duration_ms, octets,
           truncated, error, expires_at
    FROM recordings WHERE id = %(id)s
"""

READ_OF_CALL_SQL: LiteralString = """
    SELECT id, organization_id, call_id, state, sealed_key, store_key, started_at, ended_at, duration_ms, octets,
           truncated, error, expires_at
    FROM recordings WHERE call_id = %(call_id)s ORDER BY id
"""

READ_LATEST_SQL: LiteralString = """
    SELECT id, organization_id, call_id, state, sealed_key, store_key, started_at, ended_at, duration_ms, octets,
           truncated, error, expires_at
    FROM recordings ORDER BY started_at DESC LIMIT %(limit)s
"""

INSERT_SQL: LiteralString = """
    INSERT INTO recordings (id, organization_id, call_id, state, sealed_key, started_at)
    VALUES (%(id)s, %(organization_id)s, %(call_id)s, 'recording', %(sealed_key)s, %(started_at)s)
    ON CONFLICT (id) DO NOTHING
"""

FINISH_SQL: LiteralString = """
    UPDATE recordings
    SET state = 'spooled', ended_at = %(ended_at)s, error = %(error)s, expires_at = %(expires_at)s
    WHERE id = %(id)s AND state = 'recording'
"""

STORED_SQL: LiteralString = """
    UPDATE recordings
    SET state = 'stored', store_key = %(store_key)s, octets = %(octets)s, duration_ms = %(duration_ms)s,
        truncated = %(truncated)s
    WHERE id = %(id)s AND state = 'spooled'
"""

FAILED_SQL: LiteralString = """
    UPDATE recordings
    SET state = 'failed', store_key = %(store_key)s, octets = %(octets)s, error = %(error)s
    WHERE id = %(id)s AND state = 'spooled'
"""

SPOOLED_SQL: LiteralString = """
    SELECT id, organization_id, store_key FROM recordings
    WHERE state = 'spooled' AND ended_at < %(before)s AND id > %(after)s
    ORDER BY id LIMIT %(limit)s
"""

DUE_SQL: LiteralString = """
    SELECT id, organization_id, store_key FROM recordings
    WHERE id > %(after)s
      AND (state IN ('stored', 'failed') AND expires_at <= now() OR state = 'expired' AND store_key IS NOT NULL)
    ORDER BY id LIMIT %(limit)s
"""

EXPIRE_SQL: LiteralString = """
    UPDATE recordings SET state = 'expired', sealed_key = NULL
    WHERE id = %(id)s AND state IN ('stored', 'failed') AND expires_at <= now()
"""

FILE_DELETED_SQL: LiteralString = """
    UPDATE recordings SET store_key = NULL WHERE id = %(id)s AND state = 'expired'
"""


READ_SETTINGS_SQL: LiteralString = """
    SELECT keep_days FROM recording_settings WHERE organization_id = %(organization_id)s
"""

PUT_KEEP_DAYS_SQL: LiteralString = """
    INSERT INTO recording_settings (organization_id, keep_days) VALUES (%(organization_id)s, %(days)s)
    ON CONFLICT (organization_id) DO UPDATE SET keep_days = excluded.keep_days
"""

MOVE_ENDS_SQL: LiteralString = """
    UPDATE recordings SET expires_at = ended_at + make_interval(days => %(days)s::integer)
    WHERE organization_id = %(organization_id)s AND state IN ('spooled', 'stored', 'failed')
      AND expires_at IS DISTINCT FROM ended_at + make_interval(days => %(days)s::integer)
"""

COUNT_OVER_SQL: LiteralString = """
    SELECT count(*) FROM recordings
    WHERE organization_id = %(organization_id)s AND state IN ('spooled', 'stored', 'failed')
      AND ended_at + make_interval(days => %(days)s::integer) <= now()
"""


@dataclass(frozen=True, slots=True)
class SettingsRow:
    keep_days: int | None


@dataclass(frozen=True, slots=True)
class FileRow:
    id: UUID
    organization_id: UUID
    store_key: str | None


async def read(conn: Connection, recording_id: UUID) -> Recording | None:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(READ_SQL, {"id": recording_id})
        return await cursor.fetchone()


async def read_of_call(conn: Connection, call_id: UUID) -> list[Recording]:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(READ_OF_CALL_SQL, {"call_id": call_id})
        return await cursor.fetchall()


async def read_latest(conn: Connection, limit: int) -> list[Recording]:
    async with conn.cursor(row_factory=class_row(Recording)) as cursor:
        await cursor.execute(READ_LATEST_SQL, {"limit": limit})
        return await cursor.fetchall()


async def insert(
    conn: Connection,
    recording_id: UUID,
    organization_id: UUID,
    call_id: UUID,
    started_at: datetime,
    sealed_key: bytes,
) -> None:
    values = {
        "id": recording_id,
        "organization_id": organization_id,
        "call_id": call_id,
        "started_at": started_at,
        "sealed_key": sealed_key,
    }
    await conn.execute(INSERT_SQL, values)


async def finish(
    conn: Connection, recording_id: UUID, ended_at: datetime, error: str | None, expires_at: datetime | None
) -> bool:
    """True when this call changed it."""
    values = {"id": recording_id, "ended_at": ended_at, "error": error, "expires_at": expires_at}
    return (await conn.execute(FINISH_SQL, values)).rowcount == 1


async def stored(
    conn: Connection, recording_id: UUID, store_key: str, octets: int, duration_ms: int, *, truncated: bool
) -> None:
    values = {
        "id": recording_id,
        "store_key": store_key,
        "octets": octets,
        "duration_ms": duration_ms,
        "truncated": truncated,
    }
    await conn.execute(STORED_SQL, values)


async def failed(
    conn: Connection, recording_id: UUID, error: str, store_key: str | None = None, octets: int | None = None
) -> None:
    await conn.execute(FAILED_SQL, {"id": recording_id, "error": error, "store_key": store_key, "octets": octets})


async def spooled(conn: Connection, before: datetime, after: UUID, limit: int) -> list[FileRow]:
    async with conn.cursor(row_factory=class_row(FileRow)) as cursor:
        await cursor.execute(SPOOLED_SQL, {"before": before, "after": after, "limit": limit})
        return await cursor.fetchall()


async def due(conn: Connection, after: UUID, limit: int) -> list[FileRow]:
    async with conn.cursor(row_factory=class_row(FileRow)) as cursor:
        await cursor.execute(DUE_SQL, {"after": after, "limit": limit})
        return await cursor.fetchall()


async def expire(conn: Connection, recording_id: UUID) -> None:
    await conn.execute(EXPIRE_SQL, {"id": recording_id})


async def file_deleted(conn: Connection, recording_id: UUID) -> None:
    await conn.execute(FILE_DELETED_SQL, {"id": recording_id})


async def read_settings(conn: Connection, organization_id: UUID) -> SettingsRow | None:
    async with conn.cursor(row_factory=class_row(SettingsRow)) as cursor:
        await cursor.execute(READ_SETTINGS_SQL, {"organization_id": organization_id})
        return await cursor.fetchone()


async def put_keep_days(conn: Connection, organization_id: UUID, days: int | None) -> None:
    """The setting, and with it the end of every recording that is there."""
    values = {"organization_id": organization_id, "days": days}
    await conn.execute(PUT_KEEP_DAYS_SQL, values)
    await conn.execute(MOVE_ENDS_SQL, values)


async def count_over(conn: Connection, organization_id: UUID, days: int | None) -> int:
    cursor = await conn.execute(COUNT_OVER_SQL, {"organization_id": organization_id, "days": days})
    row = await cursor.fetchone()
    return int(row[0]) if row is not None else 0
