"""Counts what runs through a trunk, so that a stolen password cannot cost a fortune. Pure: time is an argument.

Counts are of this process: a restart forgets the minute and the day.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field
from uuid import UUID

from sent.calls.ending import Blame, EndCode, Ending
from sent.trunks.models import Trunk

_MINUTE, _DAY = 60.0, 86_400.0


@dataclass(slots=True)
class _Usage:
    running: set[UUID] = field(default_factory=set)
    minute: deque[float] = field(default_factory=deque)
    day_started: float = 0.0
    day_count: int = 0


class TrunkUsage:
    """`start` before a call goes out or comes in, `finish` when its leg ended; both keyed by the leg's id."""

    def __init__(self) -> None:
        self._usage: dict[UUID, _Usage] = {}

    def running(self, trunk_id: UUID) -> int:
        usage = self._usage.get(trunk_id)
        return len(usage.running) if usage else 0

    def start(self, trunk: Trunk, leg_id: UUID, now: float, *, emergency: bool = False) -> Ending | None:
        """Count this call, or say which limit it would pass (and count nothing). Emergency calls always pass."""
        usage = self._usage.setdefault(trunk.id, _Usage(day_started=now))
        while usage.minute and usage.minute[0] <= now - _MINUTE:
            usage.minute.popleft()
        if now - usage.day_started >= _DAY:
            usage.day_started, usage.day_count = now, 0
        limits = trunk.limits
        words = None
        if len(usage.running) >= limits.concurrent_calls:
            words = f"All {limits.concurrent_calls} lines of trunk {trunk.name} are in use."
        elif len(usage.minute) >= limits.calls_per_minute:
            words = f"Trunk {trunk.name} has made its {limits.calls_per_minute} calls of this minute."
        elif usage.day_count >= limits.calls_per_day:
            words = f"Trunk {trunk.name} has made its {limits.calls_per_day} calls of this day."
        if words and not emergency:
            return Ending(EndCode.LIMIT_REACHED, words, "system", Blame.CARRIER, 503)
        usage.running.add(leg_id)
        usage.minute.append(now)
        usage.day_count += 1
        return None

    def finish(self, trunk_id: UUID, leg_id: UUID) -> None:
        """Idempotent."""
        usage = self._usage.get(trunk_id)
        if usage is not None:
            usage.running.discard(leg_id)
