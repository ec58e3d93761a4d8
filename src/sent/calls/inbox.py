"""The bounded queue of one call: everything that happens to it arrives here, in order."""

from __future__ import annotations

import asyncio
from collections import deque
from dataclasses import dataclass

from sent.calls.ending import Ending
from sent.calls.leg import Leg
from sent.calls.ports import LegEvent
from sent.media.types import MediaEvent


@dataclass(frozen=True, slots=True)
class HangUp:
    """A command: end the call with this ending."""

    ending: Ending


@dataclass(frozen=True, slots=True)
class TargetReady:
    """The legs of one target were made, for this ``attempt`` to ring."""

    attempt: object
    legs: tuple[Leg, ...]


@dataclass(frozen=True, slots=True)
class TargetFailed:
    attempt: object
    ending: Ending


@dataclass(frozen=True, slots=True)
class Woken:
    """Something that the reader waits for besides events is there."""


CallEvent = LegEvent | MediaEvent | HangUp | TargetReady | TargetFailed | Woken


class Inbox:
    """``essential`` events are always taken (each comes at most once per leg, so that they are bounded by the legs);
    others are dropped and counted once ``limit`` are waiting: a flood of digits must not cost memory."""

    def __init__(self, limit: int = 256) -> None:
        self._limit = limit
        self._events: deque[CallEvent] = deque()
        self._waiter: asyncio.Future[None] | None = None
        self.dropped = 0

    def post(self, event: CallEvent, *, essential: bool = False) -> None:
        if not essential and len(self._events) >= self._limit:
            self.dropped += 1
            return
        self._events.append(event)
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)

    async def get(self, deadline: float | None) -> CallEvent | None:
        """The next event, or None when ``deadline`` (loop time) has passed. One reader only."""
        if not self._events:
            loop = asyncio.get_running_loop()
            self._waiter = loop.create_future()
            timer = loop.call_at(deadline, _release, self._waiter) if deadline is not None else None
            try:
                await self._waiter
            finally:
                self._waiter = None
                if timer is not None:
                    timer.cancel()
        return self._events.popleft() if self._events else None


def _release(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
