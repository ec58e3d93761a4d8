"""The calls that are up on this node: start one, find them, end them, drain them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

import structlog

from sent.calls.call import Call
from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.limits import CallCounter, Limits
from sent.calls.models import CallRecord, CallSnapshot
from sent.calls.ports import CallRequest
from sent.calls.runner import CallRunner
from sent.calls.tools import Tools
from sent.kit.ids import uuid7

log = structlog.get_logger("sent.calls")

MAX_REFUSED = 200
"""Refused calls that may be under way at once beyond the limits; above it a call is refused without a record."""

Watcher = Callable[[CallSnapshot], None]


def _steady_clock(start: datetime) -> Callable[[], datetime]:
    """Wall-clock time as it goes on from ``start``: a clock that is set in mid-call must not change how long it was."""
    loop = asyncio.get_running_loop()
    begun = loop.time()
    return lambda: start + timedelta(seconds=loop.time() - begun)


@dataclass(slots=True)
class _Running:
    call: Call
    runner: CallRunner
    task: asyncio.Task[None]
    counted: bool


class CallRegistry:
    """All of it on one event loop. ``watch`` hears every change as a snapshot; it must return at once."""

    def __init__(self, tools: Tools, limits: Limits | None = None, watch: Watcher | None = None) -> None:
        self._tools = tools
        self._counter = CallCounter(limits or Limits())
        self._watch = watch
        self._running: dict[UUID, _Running] = {}
        self._refusing = 0
        self._sequence: Counter[UUID] = Counter()
        self._draining = False
        self._empty = asyncio.Event()
        self._empty.set()

    def start(self, request: CallRequest) -> UUID:
        """Take a call and return its id at once; everything else comes through the request's leg.

        A call over a limit, or one that comes while the node drains, is refused through the leg with words.
        """
        call = Call(uuid7(), request, self._tools.node_id, _steady_clock(self._tools.now()))
        refusal = self._refusal(request)
        if refusal is not None and self._refusing >= MAX_REFUSED:
            self._tools.metrics.ended(refusal.code, None, 0.0)
            request.leg.listen(lambda _: None)
            request.leg.end(refusal)
            return call.id
        runner = CallRunner(call, self._tools, lambda: self._changed(call))
        counted = refusal is None
        if counted:
            self._counter.enter(request)
        else:
            self._refusing += 1
        self._empty.clear()
        self._tools.metrics.started()
        task = asyncio.get_running_loop().create_task(self._run(runner, refusal), name=f"call {call.id}")
        self._running[call.id] = _Running(call, runner, task, counted)
        task.add_done_callback(lambda _: self._gone(call.id))
        return call.id

    def _refusal(self, request: CallRequest) -> Ending | None:
        if self._draining:
            words = "The server is shutting down and takes no new calls; try again in a moment."
            return Ending(EndCode.SHUT_DOWN, words, blame=Blame.US, sip_status=503)
        return self._counter.refusal(request)

    async def _run(self, runner: CallRunner, refusal: Ending | None) -> None:
        record = await runner.run(refusal)
        self._report(record)

    def _report(self, record: CallRecord) -> None:
        if record.ending is None:
            return
        talked = (record.ended_at - record.answered_at).total_seconds() if record.ended_at and record.answered_at else 0
        self._tools.metrics.ended(record.ending.code, record.direction, talked)
        self._tools.metrics.ignored(record.ignored_events)
        log.info(
            "calls.ended",
            call=str(record.id),
            organization=str(record.organization_id),
            code=record.ending.code.value,
            by=record.ending.by,
            talked_s=round(talked, 1),
        )

    def _gone(self, call_id: UUID) -> None:
        running = self._running.pop(call_id, None)
        if running is None:
            return
        if running.counted:
            self._counter.leave(running.call.request)
        else:
            self._refusing -= 1
        if not running.task.cancelled() and (error := running.task.exception()) is not None:
            log.error("calls.runner_failed", call=str(call_id), exc_info=error)
        if not self._running:
            self._empty.set()

    def _changed(self, call: Call) -> None:
        self._sequence[call.organization_id] += 1
        if self._watch is None:
            return
        try:
            self._watch(call.snapshot(self._sequence[call.organization_id]))
        except Exception:
            # Who watches must not end a call.
            log.exception("calls.watcher_failed", call=str(call.id))

    # -- looking --------------------------------------------------------------------------------------------------

    def __len__(self) -> int:
        return len(self._running)

    def live(self, organization_id: UUID) -> list[CallSnapshot]:
        """The organization's calls as they are now, oldest first, all with the sequence number of this moment."""
        sequence = self._sequence[organization_id]
        mine = [running for running in self._running.values() if running.call.organization_id == organization_id]
        for running in mine:
            running.runner.read_quality()
        return [running.call.snapshot(sequence) for running in sorted(mine, key=lambda running: running.call.id)]

    def sequence(self, organization_id: UUID) -> int:
        return self._sequence[organization_id]

    def get(self, call_id: UUID, organization_id: UUID) -> CallSnapshot | None:
        running = self._running.get(call_id)
        if running is None or running.call.organization_id != organization_id:
            return None
        return running.call.snapshot(self._sequence[organization_id])

    # -- ending ---------------------------------------------------------------------------------------------------

    def hang_up(self, call_id: UUID, organization_id: UUID, ending: Ending) -> bool:
        """End a call that lives here. False when it does not, or belongs to another organization."""
        running = self._running.get(call_id)
        if running is None or running.call.organization_id != organization_id:
            return False
        running.runner.hang_up(ending)
        return True

    def write_open_records(self) -> None:
        """Hand over the records of all live calls again, as they stand: another node may have closed them."""
        for running in self._running.values():
            if running.call.ending is None:
                self._tools.records.put(running.call.record())

    async def drain(self, seconds: float) -> int:
        """Take no more calls, let those that are up end by themselves for ``seconds``, then end the rest.

        Returns how many had to be ended. When this returns, every call has its record handed over.
        """
        self._draining = True
        if await self._wait_empty(seconds):
            return 0
        rest = list(self._running.values())
        log.warning("calls.drain_limit", calls=len(rest), seconds=seconds)
        words = "The server was shut down; the call had been given time to end by itself."
        for running in rest:
            running.runner.hang_up(Ending(EndCode.SHUT_DOWN, words, blame=Blame.US))
        times = self._tools.times
        if not await self._wait_empty(times.ended + 2 * times.recorder):
            for running in list(self._running.values()):
                running.task.cancel()
            await self._wait_empty(times.ended)
        return len(rest)

    async def _wait_empty(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._empty.wait()
        except TimeoutError:
            return False
        return True
