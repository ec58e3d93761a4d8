"""The registrar's store for the rest of SENT: bindings in memory, written behind once a second.

A REGISTER never waits for the database, and one that is away delays only what a restart would know.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Protocol
from uuid import UUID

import structlog

from sent.kit.errors import SentError
from sent.registrations.bindings import (
    Binding,
    Bindings,
    Owner,
    Registration,
    RegistrationChanged,
    only_by_its_flow,
)
from sent.registrations.repository import BindingRow
from sent.sip.flow import Flow

log = structlog.get_logger("sent.registrations")

FLUSH_EVERY_S = 1.0
_DEVICES_PER_WRITE = 500


class BindingStore(Protocol):
    """Implemented by `repository.BindingRepository`."""

    async def replace(self, organization_id: UUID, devices: Mapping[UUID, Sequence[BindingRow]]) -> None: ...

    async def load(self, now: datetime) -> list[BindingRow]: ...


class Registrations:
    """``clock`` is the monotonic clock of the gateway, ``wall`` the time of day in UTC."""

    def __init__(
        self,
        bindings: Bindings,
        store: BindingStore | None,
        clock: Callable[[], float],
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        """Without ``store`` nothing outlives the process."""
        self._bindings = bindings
        self._store = store
        self._clock = clock
        self._wall = wall
        self._sinks: list[Callable[[RegistrationChanged], None]] = []
        self._dirty: dict[UUID, Owner] = {}

    def listen(self, sink: Callable[[RegistrationChanged], None]) -> None:
        """Tell ``sink`` about every change from now on, on the event loop, after it has happened."""
        self._sinks.append(sink)

    def register(self, wish: Registration) -> list[Binding]:
        """Carry out a REGISTER and return the device's bindings. Raises `bindings.BindingError`."""
        now = self._clock()
        self._changed(self._bindings.apply(wish, now))
        return self._bindings.of_device(wish.owner.device_id, now)

    def of_user(self, user_id: UUID) -> list[Binding]:
        return self._bindings.of_user(user_id, self._clock())

    def flows(self) -> set[Flow]:
        """Those by which phones can be reached now."""
        return {binding.flow for binding in self._bindings.all() if binding.flow is not None}

    def behind_nat(self) -> set[Flow]:
        """Those over UDP that a NAT forgets when nothing passes."""
        return {b.flow for b in self._bindings.all() if b.flow and b.flow.transport == "UDP" and only_by_its_flow(b)}

    def flow_closed(self, flow: Flow) -> None:
        self._changed(self._bindings.flow_closed(flow))

    def forget_device(self, device_id: UUID) -> None:
        self._changed(self._bindings.forget_device(device_id))

    def seconds_left(self, binding: Binding) -> int:
        return max(0, round(binding.expires_at - self._clock()))

    def __len__(self) -> int:
        return len(self._bindings)

    async def load(self) -> int:
        """Take back what was known before a restart; the number of bindings. Raises `Unavailable`."""
        if self._store is None:
            return 0
        rows = await self._store.load(self._wall())
        offset = self._clock() - self._wall().timestamp()
        self._bindings.restore(_from_row(row, offset) for row in rows)
        return len(rows)

    async def run(self, stop: asyncio.Event) -> None:
        """Expire and write behind until ``stop``; then write a last time."""
        while not stop.is_set():
            try:
                async with asyncio.timeout(FLUSH_EVERY_S):
                    await stop.wait()
            except TimeoutError:
                pass
            self.sweep()
            while await self.flush():
                pass

    def sweep(self) -> None:
        """Report what ran out since the last time."""
        self._changed(self._bindings.expire(self._clock()))

    async def flush(self) -> bool:
        """Write a batch of what changed. True: there is more. On failure it stays marked, for the next time."""
        if self._store is None or not self._dirty:
            self._dirty.clear()
            return False
        batch = dict(list(self._dirty.items())[:_DEVICES_PER_WRITE])
        organizations: dict[UUID, dict[UUID, list[BindingRow]]] = defaultdict(dict)
        now, offset = self._clock(), self._wall().timestamp() - self._clock()
        for device_id, owner in batch.items():
            del self._dirty[device_id]
            live = self._bindings.of_device(device_id, now)
            organizations[owner.organization_id][device_id] = [_to_row(b, offset) for b in live]
        for organization_id, devices in organizations.items():
            try:
                await self._store.replace(organization_id, devices)
            except SentError as error:
                log.warning("registrations.not_written", code=error.code, devices=len(devices))
                self._dirty.update({d: batch[d] for d in batch if d not in self._dirty})
                return False
        return bool(self._dirty)

    def _changed(self, changes: Iterable[RegistrationChanged]) -> None:
        for change in changes:
            self._dirty[change.binding.owner.device_id] = change.binding.owner
            for sink in self._sinks:
                sink(change)


def _at(seconds: float, offset: float) -> datetime:
    return datetime.fromtimestamp(0, UTC) + timedelta(seconds=seconds + offset)


def _to_row(binding: Binding, offset: float) -> BindingRow:
    return BindingRow(
        device_id=binding.owner.device_id,
        contact=binding.contact,
        organization_id=binding.owner.organization_id,
        user_id=binding.owner.user_id,
        q=binding.q,
        call_id=binding.call_id,
        cseq=binding.cseq,
        expires_at=_at(binding.expires_at, offset),
        refreshed_at=_at(binding.refreshed_at, offset),
        transport=binding.transport,
        local_address=binding.local[0],
        local_port=binding.local[1],
        source_address=binding.source[0],
        source_port=binding.source[1],
        path=list(binding.path),
        instance=binding.instance,
        reg_id=binding.reg_id,
        user_agent=binding.user_agent,
    )


def _from_row(row: BindingRow, offset: float) -> Binding:
    local, source = (row.local_address, row.local_port), (row.source_address, row.source_port)
    return Binding(
        owner=Owner(row.organization_id, row.user_id, row.device_id),
        contact=row.contact,
        q=row.q,
        call_id=row.call_id,
        cseq=row.cseq,
        expires_at=row.expires_at.timestamp() + offset,
        refreshed_at=row.refreshed_at.timestamp() + offset,
        transport=row.transport,
        local=local,
        source=source,
        # A UDP flow is its addresses and outlives us; a connection does not.
        flow=Flow("UDP", local, source) if row.transport == "UDP" else None,
        path=tuple(row.path),
        instance=row.instance,
        reg_id=row.reg_id,
        user_agent=row.user_agent,
    )
