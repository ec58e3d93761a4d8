"""How long an organization keeps its recordings. Each recording carries its own end (``expires_at``), which is set when
it is finished and moved when the setting is changed; `retention` destroys by it alone.
"""

from __future__ import annotations

from uuid import UUID

from sent.infra.db import Actor, Connection, Database
from sent.kit.errors import BadInput
from sent.recordings import repository

DEFAULT_KEEP_DAYS = 365
MAX_KEEP_DAYS = 36_500


class Keeping:
    """``days`` is None for: for ever. Every method raises `Unavailable` while the database is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def days(self, organization_id: UUID, actor: Actor) -> int | None:
        async with self._database.transaction(organization_id, actor) as conn:
            return await keep_days(conn, organization_id)

    async def ending_with(self, organization_id: UUID, actor: Actor, days: int | None) -> int:
        """How many recordings `set_days` would give to the next destruction: to ask a person before."""
        _check(days)
        async with self._database.transaction(organization_id, actor) as conn:
            return await repository.count_over(conn, organization_id, days)

    async def set_days(self, organization_id: UUID, actor: Actor, days: int | None) -> None:
        """Also for what is recorded already; what is over its time then is destroyed within the hour. Raises
        `BadInput` (``recording.keep_days``)."""
        _check(days)
        async with self._database.transaction(organization_id, actor) as conn:
            await repository.put_keep_days(conn, organization_id, days)


async def keep_days(conn: Connection, organization_id: UUID) -> int | None:
    setting = await repository.read_settings(conn, organization_id)
    return setting.keep_days if setting is not None else DEFAULT_KEEP_DAYS


def _check(days: int | None) -> None:
    if days is not None and not 1 <= days <= MAX_KEEP_DAYS:
        raise BadInput("recording.keep_days", f"Recordings are kept for 1 to {MAX_KEEP_DAYS} days, or for ever.")
