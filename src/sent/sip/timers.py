"""Many timers, few of which ever fire: a heap with lazy deletion. Cancelling is O(1), arming O(log n)."""

from __future__ import annotations

import heapq
from collections.abc import Callable

TimerCallback = Callable[[float], None]


class Timer:
    """Handle of an armed timer. A cancelled one holds no reference to what armed it."""

    __slots__ = ("at", "callback")

    def __init__(self, at: float, callback: TimerCallback) -> None:
        self.at = at
        self.callback: TimerCallback | None = callback


class Timers:
    __slots__ = ("_cancelled", "_heap", "_serial")

    def __init__(self) -> None:
        self._heap: list[tuple[float, int, Timer]] = []
        self._serial = 0
        self._cancelled = 0

    def __len__(self) -> int:
        return len(self._heap) - self._cancelled

    def arm(self, at: float, callback: TimerCallback) -> Timer:
        timer = Timer(at, callback)
        self._serial += 1
        heapq.heappush(self._heap, (at, self._serial, timer))
        return timer

    def cancel(self, timer: Timer | None) -> None:
        """Idempotent; also fine for a timer that has fired."""
        if timer is None or timer.callback is None:
            return
        timer.callback = None
        self._cancelled += 1
        # A busy server cancels nearly every timer long before its time; without this the heap would hold 32 s of them.
        if self._cancelled > 512 and self._cancelled > len(self._heap) // 2:
            self._heap = [entry for entry in self._heap if entry[2].callback is not None]
            heapq.heapify(self._heap)
            self._cancelled = 0

    def next_at(self) -> float | None:
        heap = self._heap
        while heap and heap[0][2].callback is None:
            heapq.heappop(heap)
            self._cancelled -= 1
        return heap[0][0] if heap else None

    def fire_due(self, now: float) -> int:
        """Call what is due, oldest first. Timers armed meanwhile for ``now`` or earlier fire too. Returns how many."""
        fired = 0
        while (at := self.next_at()) is not None and at <= now:
            timer = heapq.heappop(self._heap)[2]
            callback, timer.callback = timer.callback, None
            if callback is not None:
                fired += 1
                callback(now)
        return fired
