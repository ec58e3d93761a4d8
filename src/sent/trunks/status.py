"""Lets people see, from any process, what the running server knows of its carriers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from sent.infra.db import Actor, Database
from sent.kit.errors import SentError
from sent.trunks.directory import Account, TrunkDirectory
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import LinkStatus, TrunkLinks
from sent.trunks.models import TrunkMode
from sent.trunks.repository_status import TrunkStatus, list_status, put_status

log = structlog.get_logger("sent.trunks")

LOOK_EVERY_S = 1.0
REPEAT_EVERY = timedelta(seconds=30)
"""Without a change it is written again so often, so that a reader can tell a server that is gone."""
STALE_AFTER = timedelta(seconds=75)
_ACTOR = Actor("system", "trunks")


class StatusWriter:
    """``clock`` is the one of the links, ``wall`` the time of day in UTC."""

    def __init__(
        self,
        database: Database,
        directory: TrunkDirectory,
        links: TrunkLinks,
        usage: TrunkUsage,
        clock: Callable[[], float],
        wall: Callable[[], datetime],
    ) -> None:
        self._database = database
        self._directory = directory
        self._links = links
        self._usage = usage
        self._clock = clock
        self._wall = wall
        self._written: dict[UUID, TrunkStatus] = {}

    async def run(self) -> None:
        """Until cancelled. While the database is gone nothing is kept: the next look shows what is then."""
        while True:
            try:
                await self._write()
            except SentError as error:
                log.warning("trunks.status_not_written", code=error.code)
            await asyncio.sleep(LOOK_EVERY_S)

    async def _write(self) -> None:
        accounts = self._directory.accounts()
        for account in accounts:
            link = self._links.status(account.trunk.id)
            if link is None:
                continue
            seen = self._status(account, link)
            before = self._written.get(account.trunk.id)
            if before is not None and not _worth_writing(before, seen):
                continue
            async with self._database.transaction(account.trunk.organization_id, _ACTOR) as connection:
                await put_status(connection, seen)
            self._written[account.trunk.id] = seen
        for gone in self._written.keys() - {account.trunk.id for account in accounts}:
            del self._written[gone]

    def _status(self, account: Account, link: LinkStatus) -> TrunkStatus:
        registers = account.trunk.mode is TrunkMode.REGISTER
        until = link.registration.registered_until
        wall = self._wall()
        return TrunkStatus(
            trunk_id=account.trunk.id,
            organization_id=account.trunk.organization_id,
            health=link.health.health.value,
            health_words=link.health.words,
            phase=link.registration.phase.value if registers else None,
            registered_until=None if until is None else wall + timedelta(seconds=until - self._clock()),
            words=link.registration.words if registers else link.health.words,
            calls_up=self._usage.running(account.trunk.id),
            seen_at=wall,
        )


def _worth_writing(before: TrunkStatus, seen: TrunkStatus) -> bool:
    if seen.seen_at - before.seen_at >= REPEAT_EVERY:
        return True
    # The promised end is computed from two clocks, so it trembles by less than a second.
    if before.registered_until is not None and seen.registered_until is not None:
        trembles = abs(before.registered_until - seen.registered_until) <= timedelta(seconds=1)
        if not trembles:
            return True
    same = replace(seen, seen_at=before.seen_at, registered_until=before.registered_until)
    return same != before


async def read_status(database: Database, organization_id: UUID, actor: Actor) -> dict[UUID, TrunkStatus]:
    """What the server last saw, by trunk."""
    async with database.transaction(organization_id, actor) as connection:
        return {status.trunk_id: status for status in await list_status(connection)}
