"""Virtual time: an event loop on which hours pass in milliseconds, and a clock for code that is given ``now``."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")

_PATIENCE = 5.0
"""Real seconds that a loop without timers waits for a thread before it says that it is stuck."""


class FakeClock:
    """``now`` for pure code; moves only when told."""

    def __init__(self, start: float = 1_000.0) -> None:
        self._now = start

    def __call__(self) -> float:
        return self._now

    def now(self) -> float:
        return self._now

    def advance(self, seconds: float) -> float:
        """Raises `ValueError` for a negative step: monotonic clocks have none."""
        if seconds < 0:
            raise ValueError("time does not go back")
        self._now += seconds
        return self._now


class _JumpingSelector(selectors.DefaultSelector):
    """Never waits while a timer is armed: it moves the clock to that timer instead."""

    def __init__(self) -> None:
        super().__init__()
        self.clock = FakeClock()

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if timeout is None:
            # Only a thread could still wake us (a file, a name look-up); nothing virtual is left.
            ready = super().select(_PATIENCE)
            if not ready:
                raise RuntimeError("virtual time stands still: no task is ready, no timer is armed")
            return ready
        self.clock.advance(max(timeout, 0.0))
        return []


class VirtualLoop(asyncio.SelectorEventLoop):
    """An event loop whose ``time()`` jumps to the next timer as soon as nothing is ready. Not for real sockets."""

    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.clock.now()


def run_virtual(main: Coroutine[Any, Any, T]) -> T:
    """Run ``main`` on a fresh `VirtualLoop` to its end, then cancel what it left behind, like `asyncio.run`."""
    with asyncio.Runner(loop_factory=VirtualLoop) as runner:
        return runner.run(main)
