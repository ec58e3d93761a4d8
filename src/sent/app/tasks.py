"""What runs beside the calls for as long as the server lives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

import structlog

log = structlog.get_logger("sent.app")

Work = Callable[[], Coroutine[Any, Any, None]]

STOP_SECONDS = 10.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 1.0, 30.0
_TURN_SECONDS = 0.5


class Tasks:
    """Each piece of work is either told to end (it watches an event of its maker's) or cancelled, by `end`.

    One that fails is logged and begun again after a pause: a server whose records or routes silently stopped
    following would be worse than one that is down.
    """

    def __init__(self) -> None:
        self._told: set[asyncio.Task[None]] = set()
        self._endless: set[asyncio.Task[None]] = set()

    async def start_listening(self, work: Work, name: str, listens: asyncio.Event) -> None:
        """Begin ``work`` and wait until ``listens`` is set; raises what ended it before. Told to end."""
        task = asyncio.create_task(work(), name=name)
        waiting = asyncio.create_task(listens.wait(), name=f"{name} listens")
        try:
            await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                await task
        except BaseException:
            task.cancel()
            await asyncio.wait((task,), timeout=STOP_SECONDS)
            raise
        finally:
            waiting.cancel()
        self._told.add(task)
        task.add_done_callback(_report)

    def start(self, work: Work, name: str, *, endless: bool = False) -> None:
        """``endless`` work knows no end of its own and is cancelled."""
        task = asyncio.create_task(_again_and_again(work, name), name=name)
        (self._endless if endless else self._told).add(task)

    async def end(self) -> None:
        """After those that can be told were told. Returns within twice `STOP_SECONDS`."""
        everything = self._told | self._endless
        if not everything:
            return
        # The last writes of those that are told may need those that are cancelled (the record writer, the lease).
        await asyncio.wait(self._told or everything, timeout=_TURN_SECONDS)
        for task in self._endless:
            task.cancel()
        _, late = await asyncio.wait(everything, timeout=STOP_SECONDS)
        for task in late:
            log.warning("app.task_cut_short", task=task.get_name())
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=STOP_SECONDS)


async def _again_and_again(work: Work, name: str) -> None:
    pause = _FIRST_PAUSE_S
    while True:
        begun = asyncio.get_running_loop().time()
        try:
            await work()
        except Exception:
            log.exception("app.task_failed", task=name)
        else:
            return
        if asyncio.get_running_loop().time() - begun > _LONGEST_PAUSE_S:
            pause = _FIRST_PAUSE_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        log.error("app.task_failed", task=task.get_name(), exc_info=error)
