"""The SQL of what is seen of carriers."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from psycopg.rows import class_row

from sent.infra.db import Connection

PUT_STATUS_SQL = """
INSERT INTO trunk_status (trunk_id, organization_id, health, health_words, phase, registered_until, words, calls_up,
                          seen_at)
SELECT %(trunk_id)s, %(organization_id)s, %(health)s, %(health_words)s, %(phase)s, %(registered_until)s, %(words)s,
       %(calls_up)s, %(seen_at)s
WHERE EXISTS (SELECT FROM trunks WHERE id = %(trunk_id)s)
ON CONFLICT (trunk_id) DO UPDATE SET health = excluded.health, health_words = excluded.health_words,
  phase = excluded.phase, registered_until = excluded.registered_until, words = excluded.words,
  calls_up = excluded.calls_up, seen_at = excluded.seen_at"""
LIST_STATUS_SQL = """
SELECT trunk_id, organization_id, health, health_words, phase, registered_until, words, calls_up, seen_at
FROM trunk_status"""


@dataclass(frozen=True, slots=True)
class TrunkStatus:
    """``phase`` is None for a trunk that does not register. ``words`` is the carrier's last answer."""

    trunk_id: UUID
    organization_id: UUID
    health: str
    health_words: str
    phase: str | None
    registered_until: datetime | None
    words: str
    calls_up: int
    seen_at: datetime


async def put_status(connection: Connection, status: TrunkStatus) -> None:
    await connection.execute(PUT_STATUS_SQL, asdict(status))


async def list_status(connection: Connection) -> list[TrunkStatus]:
    async with connection.cursor(row_factory=class_row(TrunkStatus)) as cursor:
        return await (await cursor.execute(LIST_STATUS_SQL)).fetchall()
