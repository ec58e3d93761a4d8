"""The dialplan of inside numbers over a cached snapshot per organization: a call never waits for a slow database
once its organization was seen, and a database that is gone stops no call inside the house."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from uuid import UUID

import structlog

from sent.calls.plan import Plan
from sent.calls.ports import CallRequest
from sent.infra.db import Actor
from sent.infra.db.listen import listen
from sent.kit.errors import Unavailable
from sent.pbx.models import RoutingSnapshot
from sent.pbx.rules import plan_for

log = structlog.get_logger("sent.pbx")

TTL_SECONDS = 60.0
MAX_CACHED = 1_000
CHANNEL = "sent_routing"
_ACTOR = Actor("system", "pbx")


class RoutingSource(Protocol):
    async def load(self, organization_id: UUID, actor: Actor) -> RoutingSnapshot: ...


@dataclass(slots=True)
class _Cached:
    snapshot: RoutingSnapshot
    until: float


class PbxService:
    """``now`` is monotonic seconds. Feed changes through `invalidate` (`run` does, from NOTIFY)."""

    def __init__(
        self,
        source: RoutingSource,
        announcements: Mapping[str, Path],
        now: Callable[[], float],
        ttl: float = TTL_SECONDS,
    ) -> None:
        self._source = source
        self._announcements = announcements
        self._now = now
        self._ttl = ttl
        self._cache: OrderedDict[UUID, _Cached] = OrderedDict()
        self._loading: dict[UUID, asyncio.Task[RoutingSnapshot]] = {}

    async def plan(self, request: CallRequest) -> Plan | None:
        """None when the number is not an inside one. Raises `Unavailable` only for an organization never seen."""
        routing = await self.routing(request.organization_id)
        return plan_for(request.dialed, routing, request.caller, self._announcements)

    async def routing(self, organization_id: UUID) -> RoutingSnapshot:
        """The snapshot, at most ``ttl`` old, or the last one known while the database is gone."""
        cached = self._cache.get(organization_id)
        if cached is not None and self._now() < cached.until:
            self._cache.move_to_end(organization_id)
            return cached.snapshot
        try:
            return await self._load(organization_id)
        except Unavailable as error:
            if cached is None:
                raise
            log.warning("pbx.routing_from_cache", organization=str(organization_id), why=error.message)
            cached.until = self._now() + self._ttl / 10
            return cached.snapshot

    def invalidate(self, organization_id: UUID | None = None) -> None:
        """Load again at the next call; None: all. What is cached stays, for when the database is gone."""
        for key, cached in self._cache.items():
            if organization_id in {None, key}:
                cached.until = 0.0
        if organization_id is None:
            self._loading.clear()
        else:
            self._loading.pop(organization_id, None)

    async def _load(self, organization_id: UUID) -> RoutingSnapshot:
        """Calls that come together load once."""
        task = self._loading.get(organization_id)
        if task is None:
            task = asyncio.get_running_loop().create_task(self._source.load(organization_id, _ACTOR))
            self._loading[organization_id] = task
            task.add_done_callback(lambda done: self._loaded(organization_id, done))
        return await asyncio.shield(task)

    def _loaded(self, organization_id: UUID, task: asyncio.Task[RoutingSnapshot]) -> None:
        was_current = self._loading.get(organization_id) is task
        if was_current:
            del self._loading[organization_id]
        if task.cancelled() or task.exception() is not None:
            return
        # What was invalidated while it loaded may be old already: it serves this call, and the next one loads again.
        until = self._now() + self._ttl if was_current else 0.0
        self._cache[organization_id] = _Cached(task.result(), until)
        self._cache.move_to_end(organization_id)
        while len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)

    async def run(self, dsn: str) -> None:
        """Invalidate what the database notifies about, until cancelled. ``dsn`` is `Database.server_dsn`."""
        await listen(dsn, CHANNEL, self._noticed, self.invalidate)

    def _noticed(self, payload: str) -> None:
        try:
            self.invalidate(UUID(payload))
        except ValueError:
            self.invalidate()
