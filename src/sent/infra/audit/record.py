"""Entries that no write makes: somebody listened to a recording, exported it, created an organization."""

from __future__ import annotations

from collections.abc import Mapping

from psycopg.types.json import Jsonb

from sent.infra.audit.repository import RECORD_SQL
from sent.infra.db import Connection


async def record(connection: Connection, action: str, subject: str, details: Mapping[str, object]) -> None:
    """In the door's transaction, with the door's actor and organization.

    ``action`` names what was done (``recording.listen``), ``subject`` what to, as ``table/id``. ``details`` hold no
    secret and no whole phone number.
    """
    table, _, row_id = subject.partition("/")
    await connection.execute(
        RECORD_SQL, {"action": action, "subject": table, "row_id": row_id, "details": Jsonb(dict(details))}
    )
