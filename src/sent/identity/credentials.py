"""Who a SIP user name is, asked by the registrar and for every INVITE, thousands of times a second.

    find(name) ── not the shape of one ───────────────────────→ None, no look-up
         ├─ kept and fresh (60 s; unknown names 5 s) ─────────→ the copy
         ├─ kept, not fresh, database away ───────────────────→ the copy: phones go on working
         └─ otherwise ─ one look-up per name, few at a time ──→ kept, answered

A change of a device or its user is notified by the database and drops the copy at once; the freshness is the second
line. Known and unknown names are kept apart, so that a scanner's guesses never push out a phone.
"""

from __future__ import annotations

import asyncio
import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from sent.identity.device_secrets import ha1, is_sip_username
from sent.identity.models import DeviceCredential, DigestAlgorithm
from sent.identity.repository import find_device
from sent.identity.sealer import Sealer, device_context
from sent.infra.db import Database
from sent.infra.db.listen import listen
from sent.kit.errors import LimitReached, Unavailable

DEFAULT_REALM = "sent"
CHANNEL = "sent_devices"

_FRESH_S = 60.0
_UNKNOWN_FRESH_S = 5.0
_REFRESH_PATIENCE_S = 0.5
"""How long a kept copy waits for a newer one before it is used as it is."""
_DATABASE_AWAY_S = 2.0
"""After a failed refresh, how long the copies are used without asking."""
_LOOKUPS_AT_ONCE = 2
_LOOKUPS_WAITING = 500


class DeviceCredentials:
    """``run`` listens for changes and must run beside; without it a change is seen after 60 s."""

    def __init__(
        self,
        database: Database,
        sealer: Sealer,
        realm: str = DEFAULT_REALM,
        *,
        capacity: int = 20_000,
        now: Callable[[], float] = time.monotonic,
    ) -> None:
        self._database = database
        self._sealer = sealer
        self._realm = realm
        self._capacity = capacity
        self._now = now
        self._known: OrderedDict[str, tuple[DeviceCredential, float]] = OrderedDict()
        self._unknown: OrderedDict[str, float] = OrderedDict()
        self._lookups: dict[str, asyncio.Task[DeviceCredential | None]] = {}
        self._at_once = asyncio.Semaphore(_LOOKUPS_AT_ONCE)
        self._away_until = float("-inf")

    async def find(self, sip_username: str) -> DeviceCredential | None:
        """None: there is no such device. Raises `Unavailable` when it is not known here and the database is away,
        `LimitReached` when too many unknown names are asked for at once.
        """
        if not is_sip_username(sip_username):
            return None
        now = self._now()
        if (kept := self._known.get(sip_username)) is not None:
            credential, fresh_until = kept
            self._known.move_to_end(sip_username)
            if now < fresh_until or now < self._away_until:
                return credential
            return await self._refreshed(sip_username, credential)
        if now < self._unknown.get(sip_username, now):
            return None
        return await self._shared_lookup(sip_username)

    def forget(self, sip_username: str) -> None:
        """It changed. A look-up under way may have read the old row: its answer is not kept."""
        self._unknown.pop(sip_username, None)
        self._lookups.pop(sip_username, None)
        if (kept := self._known.get(sip_username)) is not None:
            # Kept as stale: better than nothing if the database goes away now.
            self._known[sip_username] = (kept[0], float("-inf"))
            self._away_until = float("-inf")

    def forget_all(self) -> None:
        for sip_username in [*self._known, *self._unknown, *self._lookups]:
            self.forget(sip_username)

    async def run(self) -> None:
        """Until cancelled."""
        await listen(self._database.server_dsn, CHANNEL, self.forget, self.forget_all)

    async def _refreshed(self, sip_username: str, credential: DeviceCredential) -> DeviceCredential | None:
        try:
            async with asyncio.timeout(_REFRESH_PATIENCE_S):
                return await self._shared_lookup(sip_username)
        except (Unavailable, LimitReached, TimeoutError):
            self._away_until = self._now() + _DATABASE_AWAY_S
            return credential

    async def _shared_lookup(self, sip_username: str) -> DeviceCredential | None:
        """One look-up per name, however many ask. Cancelling one who asks does not cancel it for the others."""
        task = self._lookups.get(sip_username)
        if task is None:
            if len(self._lookups) >= _LOOKUPS_WAITING:
                raise LimitReached(
                    "identity.too_many_lookups", "too many unknown SIP user names are asked for at once; try later"
                )
            task = asyncio.create_task(self._lookup(sip_username), name="look up a device")
            self._lookups[sip_username] = task
            task.add_done_callback(lambda done: self._keep(sip_username, done))
        return await asyncio.shield(task)

    def _keep(self, sip_username: str, task: asyncio.Task[DeviceCredential | None]) -> None:
        failed = task.cancelled() or task.exception() is not None
        if self._lookups.get(sip_username) is not task:
            return  # it changed meanwhile
        del self._lookups[sip_username]
        if failed:
            return
        credential = task.result()
        if credential is None:
            self._known.pop(sip_username, None)
            self._unknown[sip_username] = self._now() + _UNKNOWN_FRESH_S
            _drop_oldest(self._unknown, self._capacity)
        else:
            self._known[sip_username] = (credential, self._now() + _FRESH_S)
            _drop_oldest(self._known, self._capacity)

    async def _lookup(self, sip_username: str) -> DeviceCredential | None:
        async with self._at_once, self._database.resolver() as connection:
            found = await find_device(connection, sip_username)
            if found is None:
                return None
            secret = await self._sealer.open(
                connection, found.organization_id, device_context(found.device_id), found.sealed_secret
            )
        return DeviceCredential(
            organization_id=found.organization_id,
            user_id=found.user_id,
            user_name=found.user_name,
            device_id=found.device_id,
            device_name=found.device_name,
            sip_username=found.sip_username,
            algorithm=found.digest_algorithm,
            ha1={
                algorithm: ha1(algorithm, sip_username, self._realm, secret.decode()) for algorithm in DigestAlgorithm
            },
            disabled=found.disabled,
        )


def _drop_oldest(kept: OrderedDict[str, Any], capacity: int) -> None:
    while len(kept) > capacity:
        kept.popitem(last=False)
