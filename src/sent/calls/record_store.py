"""Writes records to the database: a batch of one organization in one transaction. Idempotent by ``version``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from sent.calls.models import CallRecord
from sent.calls.repository import PUT_CALL_SQL, PUT_LADDER_SQL, PUT_LEG_SQL
from sent.calls.rows import call_row, ladder_row, leg_rows
from sent.infra.db import Actor, Database


class RecordStore(Protocol):
    async def write(self, organization_id: UUID, records: Sequence[CallRecord]) -> None:
        """All of them or none. Raises `Unavailable` while the database is gone, other errors for a bad record."""


class DatabaseStore:
    def __init__(self, database: Database, node_id: UUID) -> None:
        self._database = database
        self._actor = Actor("system", f"node:{node_id}")

    async def write(self, organization_id: UUID, records: Sequence[CallRecord]) -> None:
        ladders = [ladder_row(r.id, r.organization_id, r.ladder) for r in records if r.ladder is not None]
        legs = [row for record in records for row in leg_rows(record)]
        async with (
            self._database.transaction(organization_id, self._actor) as connection,
            connection.cursor() as cursor,
        ):
            await cursor.executemany(PUT_CALL_SQL, [call_row(record) for record in records])
            if legs:
                await cursor.executemany(PUT_LEG_SQL, legs)
            if ladders:
                await cursor.executemany(PUT_LADDER_SQL, ladders)
