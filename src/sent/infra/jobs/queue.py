"""The queue as modules see it.

A job is a name and JSON arguments. It is put in with the connection of a transaction, so it exists exactly when
what caused it does. It runs at least once: a server that dies in the middle runs it again, so handlers are idempotent.
A job's arguments name its organization (``organization_id``; where the transaction has one, it must be that), and its
work opens that organization's own transaction.
"""

from __future__ import annotations

import asyncio
import importlib
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg import AsyncConnection

from sent.infra.jobs import repository
from sent.infra.telemetry import Metrics, get_logger

log = get_logger(__name__)

Handler = Callable[..., Awaitable[None]]

_NAME = re.compile(r"[a-z_]+\.[a-z_]+")
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 1.0, 30.0


class GiveUp(Exception):
    """Raised by a handler that would fail again however often it ran: the job is kept as failed, with these words."""


@dataclass(frozen=True, slots=True)
class Task:
    """``cron`` (five fields, UTC) for those that run by the clock. ``attempts`` counts the first run, too."""

    name: str
    run: Handler
    attempts: int
    cron: str | None = None


class Jobs:
    """``server_dsn`` is `Database.server_dsn`. At most ``concurrency`` jobs run at a time."""

    def __init__(self, server_dsn: str, metrics: Metrics, concurrency: int = 4) -> None:
        self.server_dsn = server_dsn
        self.metrics = metrics
        self.concurrency = concurrency
        self.tasks: dict[str, Task] = {}

    def __repr__(self) -> str:
        return f"Jobs({len(self.tasks)} tasks)"

    def register(self, name: str, run: Handler, *, attempts: int = 9) -> None:
        """Name the coroutine function that does ``module.verb`` jobs. Before `run`.

        After a failure it runs again in 3, 9, 27, 81 … seconds, in all ``attempts`` times (nine: within three hours).
        """
        self._add(Task(name, run, attempts))

    def register_periodic(self, name: str, cron: str, run: Handler) -> None:
        """Run without arguments by the clock, once for all nodes. Failures wait for the next time."""
        self._add(Task(name, run, 1, cron))

    async def defer(
        self,
        conn: AsyncConnection,
        task: str,
        args: Mapping[str, Any],
        *,
        run_at: datetime | None = None,
        lock: str | None = None,
    ) -> None:
        """Put a job in with ``conn``'s transaction. ``args`` must be JSON; they are kept and logged: no secrets.

        ``run_at`` (with a time zone): not before. ``lock``: jobs with the same one run one after the other.
        """
        if task not in self.tasks or self.tasks[task].cron is not None:
            raise LookupError(f"No job named {task} was registered.")
        if run_at is not None and run_at.tzinfo is None:
            raise ValueError("run_at needs a time zone.")
        await repository.defer(conn, task, args, run_at, lock)

    async def run(self, stop: asyncio.Event) -> None:
        """Work until ``stop`` is set; running jobs get ten seconds. A database that goes away is waited for."""
        worker = await asyncio.to_thread(importlib.import_module, "sent.infra.jobs.worker")
        wait = _FIRST_WAIT_SECONDS
        while not stop.is_set():
            started = asyncio.get_running_loop().time()
            try:
                await worker.work(self, stop)
            except worker.DATABASE_ERRORS as error:
                log.warning("jobs.interrupted", error=str(error), again_in_seconds=wait)
            except Exception:  # whatever it was, background jobs must not end for good while the server goes on
                log.exception("jobs.worker_failed", again_in_seconds=wait)
            if asyncio.get_running_loop().time() - started > _LONGEST_WAIT_SECONDS:
                wait = _FIRST_WAIT_SECONDS
            try:
                await asyncio.wait_for(stop.wait(), wait)
            except TimeoutError:
                wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    def _add(self, task: Task) -> None:
        if not _NAME.fullmatch(task.name) or task.name in self.tasks:
            raise ValueError(f"A job's name is module.verb, once: not {task.name!r}.")
        self.tasks[task.name] = task
