"""All SQL of `registrations`: bindings are replaced per device and loaded as a whole."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from sent.infra.db import Actor, Connection, Database, SystemReason

ACTOR = Actor("system", "registrar")

DELETE_SQL = "DELETE FROM bindings WHERE device_id = ANY(%(devices)s)"
INSERT_SQL = """
INSERT INTO bindings (device_id, contact, organization_id, user_id, q, call_id, cseq, expires_at, refreshed_at,
                      transport, local_address, local_port, source_address, source_port, path, instance, reg_id,
                      user_agent)
VALUES (%(device_id)s, %(contact)s, %(organization_id)s, %(user_id)s, %(q)s, %(call_id)s, %(cseq)s, %(expires_at)s,
        %(refreshed_at)s, %(transport)s, %(local_address)s, %(local_port)s, %(source_address)s, %(source_port)s,
        %(path)s, %(instance)s, %(reg_id)s, %(user_agent)s)
ON CONFLICT (device_id, contact) DO UPDATE SET q = excluded.q, call_id = excluded.call_id, cseq = excluded.cseq,
  expires_at = excluded.expires_at, refreshed_at = excluded.refreshed_at, transport = excluded.transport,
  local_address = excluded.local_address, local_port = excluded.local_port, source_address = excluded.source_address,
  source_port = excluded.source_port, path = excluded.path, instance = excluded.instance, reg_id = excluded.reg_id,
  user_agent = excluded.user_agent"""
LOAD_SQL = """
SELECT device_id, contact, organization_id, user_id, q, call_id, cseq, expires_at, refreshed_at, transport,
       local_address, local_port, source_address, source_port, path, instance, reg_id, user_agent
FROM bindings WHERE expires_at > %(now)s ORDER BY refreshed_at"""
DELETE_EXPIRED_SQL = "DELETE FROM bindings WHERE expires_at <= %(now)s"


@dataclass(frozen=True, slots=True)
class BindingRow:
    device_id: UUID
    contact: str
    organization_id: UUID
    user_id: UUID
    q: float
    call_id: str
    cseq: int
    expires_at: datetime
    refreshed_at: datetime
    transport: str
    local_address: str
    local_port: int
    source_address: str
    source_port: int
    path: list[str]
    instance: str | None
    reg_id: int | None
    user_agent: str


class BindingRepository:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def replace(self, organization_id: UUID, devices: Mapping[UUID, Sequence[BindingRow]]) -> None:
        """For each device, its rows are exactly these from now on."""
        async with self._database.transaction(organization_id, ACTOR) as connection:
            await connection.execute(DELETE_SQL, {"devices": list(devices)})
            rows = [_values(row) for rows in devices.values() for row in rows]
            if rows:
                async with connection.cursor() as cursor:
                    await cursor.executemany(INSERT_SQL, rows)

    async def load(self, now: datetime) -> list[BindingRow]:
        """All that has not run out, of every organization; forgets the rest."""
        async with self._database.system(SystemReason.RESTORE_BINDINGS) as connection:
            await connection.execute(DELETE_EXPIRED_SQL, {"now": now})
            return await _rows(connection, now)


async def _rows(connection: Connection, now: datetime) -> list[BindingRow]:
    async with connection.cursor(row_factory=class_row(BindingRow)) as cursor:
        await cursor.execute(LOAD_SQL, {"now": now})
        return await cursor.fetchall()


def _values(row: BindingRow) -> dict[str, object]:
    return {name: getattr(row, name) for name in BindingRow.__slots__}
