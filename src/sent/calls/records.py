"""Writing records behind the calls: a call never waits for the database, and no record is lost while it is away.

    put ──► waiting (newest version per call, bounded) ──► store, in batches, retried with back-off
                 │ full, or shutting down                        │ the database is back, or the next start
                 └──────────────► spill file ◄───────────────────┘ replay

Only the newest version of a call waits (each version holds all of the ones before it), so order per call is kept by
construction; across files and retries ``version`` decides.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import islice
from uuid import UUID

import structlog

from sent.calls.models import CallRecord
from sent.calls.record_store import RecordStore
from sent.calls.spill import Spill
from sent.kit.errors import Unavailable

log = structlog.get_logger("sent.calls")

MAX_WAITING = 4_000
"""Some 40 MB of usual calls with their ladders; above it the spill file takes over."""
BATCH = 100
FLUSH_SECONDS = 5.0
LINGER_SECONDS = 0.1
_BACK_OFF = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0)
_SPILL_SHARE = 10
"""A tenth of a full queue goes to the file at once, so that the disk is synced once for many records."""


class RecordWriter:
    """Run `run` as one task. ``counters``: written, retries, spilled, replayed, refused, lost."""

    def __init__(self, store: RecordStore, spill: Spill, max_waiting: int = MAX_WAITING) -> None:
        self._store = store
        self._spill = spill
        self._max = max_waiting
        self._waiting: dict[UUID, CallRecord] = {}
        self._wake = asyncio.Event()
        self._full = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()
        self._replay_due = True
        self.counters: dict[str, int] = defaultdict(int)

    def put(self, record: CallRecord) -> None:
        waiting = self._waiting.get(record.id)
        if waiting is None and len(self._waiting) >= 2 * self._max:
            self.counters["lost"] += 1
            log.error("calls.records_lost", records=1, remedy="the disk is slower than the calls; look at its health")
            return
        if waiting is None or waiting.version < record.version:
            self._waiting[record.id] = record
        self._idle.clear()
        self._wake.set()
        if len(self._waiting) > self._max:
            self._full.set()

    def __len__(self) -> int:
        return len(self._waiting)

    async def flushed(self, seconds: float = FLUSH_SECONDS) -> bool:
        """Wait until everything that was put so far is in the database or in the spill file.

        False when it is not after ``seconds`` (the database is gone): `close` keeps the rest.
        """
        try:
            async with asyncio.timeout(seconds):
                await self._idle.wait()
        except TimeoutError:
            return False
        return True

    async def run(self) -> None:
        """Write until cancelled; what then waits goes to the spill file (see `close`)."""
        await asyncio.to_thread(self._spill.prepare)
        failures = 0
        while True:
            try:
                await self._spill_overflow()
                while self._replay_due:
                    await self._replay()
                if self._waiting:
                    await self._write(self._take())
                failures = 0
            except (Unavailable, OSError) as error:
                pause = _BACK_OFF[min(failures, len(_BACK_OFF) - 1)]
                failures += 1
                self.counters["retries"] += 1
                if failures == 1 or pause == _BACK_OFF[-1]:
                    log.warning("calls.records_wait", waiting=len(self._waiting), retry_s=pause, why=str(error))
                await self._spill_overflow()
                await self._pause(pause)
                continue
            if self._waiting:
                continue
            self._idle.set()
            self._wake.clear()
            await self._wake.wait()
            # A short call's versions, and calls that begin together, are then one write.
            await asyncio.sleep(LINGER_SECONDS)

    async def close(self) -> int:
        """After `run` was cancelled: keep what still waits in the spill file. Returns how many records that were."""
        rest = list(self._waiting.values())
        self._waiting.clear()
        if rest:
            await asyncio.to_thread(self._spill.prepare)
            await self._to_file(rest)
        self._idle.set()
        return len(rest)

    async def _pause(self, seconds: float) -> None:
        """Until it is time to try again, or until too many wait: then the file takes some of them at once."""
        self._full.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._full.wait()

    # -- database -------------------------------------------------------------------------------------------------

    def _take(self) -> list[CallRecord]:
        """The oldest that wait, of one organization; they keep waiting until they are written."""
        first = next(iter(self._waiting.values()))
        mine = (r for r in self._waiting.values() if r.organization_id == first.organization_id)
        return list(islice(mine, BATCH))

    async def _write(self, records: Sequence[CallRecord]) -> None:
        await self._store_or_refuse(records)
        for record in records:
            if self._waiting.get(record.id) is record:
                del self._waiting[record.id]

    async def _store_or_refuse(self, records: Sequence[CallRecord]) -> None:
        """One bad record must not keep the others out: it is looked for, and put aside with its reason in the log."""
        organization_id = records[0].organization_id
        try:
            await self._store.write(organization_id, records)
        except Unavailable:
            raise
        except Exception as error:
            if len(records) > 1:
                for record in records:
                    await self._store_or_refuse([record])
                return
            self.counters["refused"] += 1
            log.exception("calls.record_refused", call=str(records[0].id), error=type(error).__name__)
            await asyncio.to_thread(self._spill.refuse, records)
            return
        self.counters["written"] += len(records)

    # -- file -----------------------------------------------------------------------------------------------------

    async def _spill_overflow(self) -> None:
        over = len(self._waiting) - self._max
        if over <= 0:
            return
        count = over + self._max // _SPILL_SHARE
        oldest = list(islice(self._waiting.values(), count))
        await self._to_file(oldest)
        for record in oldest:
            if self._waiting.get(record.id) is record:
                del self._waiting[record.id]

    async def _to_file(self, records: Sequence[CallRecord]) -> None:
        try:
            kept = await asyncio.to_thread(self._spill.append, records)
        except OSError as error:
            kept = 0
            log.exception("calls.spill_failed", error=error.strerror)
        self._replay_due = self._replay_due or kept > 0
        self.counters["spilled"] += kept
        if kept < len(records):
            self.counters["lost"] += len(records) - kept
            log.error("calls.records_lost", records=len(records) - kept, remedy="free disk space, restore the database")

    async def _replay(self) -> None:
        if not await asyncio.to_thread(self._spill.begin_replay):
            self._replay_due = False
            return
        reader = self._spill.read()
        while batch := await asyncio.to_thread(lambda: list(islice(reader, BATCH))):
            for records in _by_organization(batch):
                await self._store_or_refuse(records)
                self.counters["replayed"] += len(records)
        await asyncio.to_thread(self._spill.end_replay)
        log.info("calls.records_replayed", records=self.counters["replayed"])
        # Another file may have been begun meanwhile: `_replay_due` stays until there is none.


def _by_organization(records: Iterable[CallRecord]) -> Iterable[list[CallRecord]]:
    """The newest version of each call only; ladders of older versions cannot exist."""
    newest: dict[UUID, CallRecord] = {}
    for record in records:
        known = newest.get(record.id)
        if known is None or known.version < record.version:
            newest[record.id] = record
    groups: dict[UUID, list[CallRecord]] = defaultdict(list)
    for record in newest.values():
        groups[record.organization_id].append(record)
    return groups.values()
