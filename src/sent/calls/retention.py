"""Deletes the records that an organization no longer wants to keep. A job of `infra.jobs` runs it daily."""

from __future__ import annotations

from datetime import datetime, timedelta
from uuid import UUID

from psycopg.rows import scalar_row

from sent.calls.repository import DELETE_OLD_SQL
from sent.infra.db import Actor, Database

_BATCH = 500


async def delete_old_records(database: Database, organization_id: UUID, days: int, now: datetime) -> int:
    """Delete calls that ended more than ``days`` days before ``now``, with their legs and ladders, in batches that
    hold no lock for long. Returns how many. Raises `Unavailable`."""
    values = {"organization_id": organization_id, "before": now - timedelta(days=days), "limit": _BATCH}
    deleted = 0
    while True:
        async with (
            database.transaction(organization_id, Actor("system", "retention")) as connection,
            connection.cursor(row_factory=scalar_row) as cursor,
        ):
            await cursor.execute(DELETE_OLD_SQL, values)
            gone: list[UUID] = await cursor.fetchall()
        deleted += len(gone)
        if len(gone) < _BATCH:
            return deleted
