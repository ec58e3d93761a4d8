"""Begin and finish recordings. A call never waits for the database here: what happened is on the local disk, in the
ticket, and is written to the database behind it, as soon as that answers.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from secrets import token_bytes
from typing import Protocol
from uuid import UUID

from psycopg import OperationalError

from sent.infra.db import Actor, Connection, Database
from sent.infra.jobs import Jobs
from sent.infra.telemetry import Metrics, get_logger
from sent.infra.vault import Vault
from sent.kit.errors import SentError, Unavailable
from sent.kit.ids import uuid7
from sent.recordings import repository
from sent.recordings.errors import RecordingRefused
from sent.recordings.keeping import keep_days
from sent.recordings.models import RecordingState, RecordingTicket, key_context
from sent.recordings.spool import Spool, SpoolEntry

log = get_logger(__name__)

STORE_JOB = "recordings.store"
FREE_SPACE_FLOOR_OCTETS = 100 * 1024 * 1024
INTERRUPTED = "SENT stopped while it was recording. It is kept up to there."
_ACTOR = Actor("system", "recorder")
_MAX_PENDING = 10_000
_DISK_THREADS = 2
_MOVED = frozenset({RecordingState.STORED, RecordingState.FAILED, RecordingState.EXPIRED})
_FIRST_WAIT_SECONDS, _LONGEST_WAIT_SECONDS = 0.5, 10.0


class Ticket(Protocol):
    """All that `Recorder.finish` asks of a ticket."""

    @property
    def id(self) -> UUID: ...


class Recorder:
    """Implements `calls`' recorder port. How long recordings are kept is each organization's own (`keeping`).

    Start with `recover`, then run `run` for as long as the process lives.
    """

    def __init__(
        self,
        spool: Spool,
        database: Database,
        vault: Vault,
        jobs: Jobs,
        metrics: Metrics,
        *,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._spool = spool
        self._database = database
        self._vault = vault
        self._jobs = jobs
        self._metrics = metrics
        self._now = now
        self._running: dict[UUID, RecordingTicket] = {}
        self._pending: dict[UUID, SpoolEntry] = {}
        self._finishing: set[asyncio.Task[None]] = set()
        self._work = asyncio.Event()
        # Threads of its own: a call that is to be recorded must not queue behind somebody's export.
        self._threads = ThreadPoolExecutor(_DISK_THREADS, thread_name_prefix="recorder")
        self._rescan = False

    async def begin(self, organization_id: UUID, call_id: UUID) -> RecordingTicket:
        """A new place to record to, its key safe on the disk. Raises `RecordingRefused`; the call goes on.

        Whoever stops waiting has no ticket, and none stays behind.
        """
        recording_id = uuid7()
        ticket = RecordingTicket(
            recording_id, organization_id, call_id, self._now(), self._spool.file(recording_id), token_bytes(32)
        )
        entry = SpoolEntry(ticket, self._spool.owner)
        claim = asyncio.ensure_future(self._on_disk(self._claim, entry))
        try:
            await asyncio.shield(claim)
        except asyncio.CancelledError:
            claim.add_done_callback(lambda done: self._forget(done, recording_id))
            raise
        except RecordingRefused as refused:
            self._metrics.recordings.of(outcome="refused").inc()
            log.error("recordings.refused", call_id=str(call_id), code=refused.code, error=refused.message)
            raise
        self._metrics.recordings.of(outcome="started").inc()
        self._running[recording_id] = ticket
        self._put(entry)
        return ticket

    async def finish(self, ticket: Ticket, error: str | None) -> None:
        """The engine has closed the file. ``error`` says why it ended early. Never raises for a full disk; the
        second time does nothing. It is done to its end also when the caller stops waiting.
        """
        begun = self._running.pop(ticket.id, None)
        if begun is None:
            return
        task = asyncio.ensure_future(self._finish(SpoolEntry(begun, self._spool.owner, self._now(), error)))
        self._finishing.add(task)
        task.add_done_callback(self._finishing.discard)
        await asyncio.shield(task)

    async def _finish(self, entry: SpoolEntry) -> None:
        try:
            await self._on_disk(self._spool.write, entry)
        except OSError as failure:
            # The ticket on the disk says "still recording", so a crash now would be recovered as an interruption.
            log.warning("recordings.ticket_not_written", recording_id=str(entry.ticket.id), error=str(failure))
        self._put(entry)

    def _forget(self, claim: asyncio.Future[None], recording_id: UUID) -> None:
        if not claim.cancelled() and claim.exception() is None:
            self._threads.submit(self._spool.remove, recording_id)

    async def recover(self) -> int:
        """Finish what processes that died left in the spool; returns how many. Once, before the first `begin`."""
        entries = await asyncio.to_thread(self._adopt)
        for entry in entries:
            log.info("recordings.recovered", recording_id=str(entry.ticket.id), interrupted=entry.error == INTERRUPTED)
            self._put(entry)
        return len(entries)

    async def run(self, stop: asyncio.Event) -> None:
        """Write behind, until ``stop``; then once more, so that a stop leaves nothing unwritten that can be written."""
        stopping = asyncio.create_task(stop.wait(), name="recorder's stop")
        wait = _FIRST_WAIT_SECONDS
        try:
            while not stop.is_set():
                working = asyncio.create_task(self._work.wait(), name="recorder's work")
                await asyncio.wait((stopping, working), return_when=asyncio.FIRST_COMPLETED)
                working.cancel()
                if await self._write_all():
                    wait = _FIRST_WAIT_SECONDS
                elif not stop.is_set():
                    await asyncio.wait((stopping,), timeout=wait)
                    wait = min(wait * 2, _LONGEST_WAIT_SECONDS)
        finally:
            stopping.cancel()
        await self._write_all()

    @property
    def unwritten(self) -> int:
        """Recordings whose latest news are not in the database yet."""
        return len(self._pending)

    async def _on_disk(self, function: Callable[[SpoolEntry], None], entry: SpoolEntry) -> None:
        await asyncio.get_running_loop().run_in_executor(self._threads, function, entry)

    def _claim(self, entry: SpoolEntry) -> None:
        try:
            free = self._spool.free_octets()
            if free >= FREE_SPACE_FLOOR_OCTETS:
                self._spool.write(entry)
                return
        except OSError as failure:
            raise RecordingRefused(
                "recording.spool",
                f"The call is not recorded: the folder for running recordings cannot be written ({failure.strerror}). "
                f"Check {self._spool.folder}: its disk, and that this server may write there.",
            ) from failure
        raise RecordingRefused(
            "recording.no_space",
            f"The call is not recorded: the disk of {self._spool.folder} has only {free // 1_048_576} MB left, and "
            f"{FREE_SPACE_FLOOR_OCTETS // 1_048_576} MB are kept free. Make room, or move the folder to a larger disk.",
        )

    def _adopt(self) -> list[SpoolEntry]:
        adopted = []
        for entry in self._spool.adopt_orphans():
            finished = entry
            if entry.ended_at is None:
                try:
                    last_write = datetime.fromtimestamp(entry.ticket.file.stat().st_mtime, UTC)
                except FileNotFoundError:
                    last_write = entry.ticket.started_at
                finished = replace(entry, ended_at=max(last_write, entry.ticket.started_at), error=INTERRUPTED)
                self._spool.write(finished)
            adopted.append(finished)
        return adopted

    def _put(self, entry: SpoolEntry) -> None:
        if len(self._pending) >= _MAX_PENDING and entry.ticket.id not in self._pending:
            self._rescan = True  # it is on the disk; found there when the database is back
        else:
            self._pending[entry.ticket.id] = entry
        self._work.set()

    async def _write_all(self) -> bool:
        """False when the database is away and something is left."""
        self._work.clear()
        while self._pending or self._rescan:
            for recording_id, entry in list(self._pending.items()):
                if not await self._written_or_given_up(entry):
                    return False
                if self._pending.get(recording_id) is entry:
                    del self._pending[recording_id]
            if self._rescan:
                self._rescan = False
                for entry in await asyncio.to_thread(lambda: list(self._spool.own())):
                    if not await self._written_or_given_up(entry):
                        self._rescan = True
                        return False
        return True

    async def _written_or_given_up(self, entry: SpoolEntry) -> bool:
        """False when the database is away: later, then."""
        try:
            await self._write(entry)
        except (Unavailable, OperationalError) as error:  # away, or a lock or statement that took too long
            log.warning("recordings.waiting_for_database", unwritten=self.unwritten, error=str(error))
            self._work.set()
            return False
        except SentError as error:  # of no use to try again now; the ticket stays for the next start
            log.error("recordings.not_written", recording_id=str(entry.ticket.id), error=error.message)
        except Exception:  # one recording that cannot be written must not hold up the others
            log.exception("recordings.not_written", recording_id=str(entry.ticket.id))
        return True

    async def _write(self, entry: SpoolEntry) -> None:
        """Row, end and job in one transaction; each part does nothing when it was done before."""
        ticket = entry.ticket
        async with self._database.transaction(ticket.organization_id, _ACTOR) as conn:
            known = await repository.read(conn, ticket.id)
            if known is None:
                await self._insert(conn, ticket)
            if entry.ended_at is None:
                return
            days = await keep_days(conn, ticket.organization_id)
            expires_at = entry.ended_at + timedelta(days=days) if days is not None else None
            if await repository.finish(conn, ticket.id, entry.ended_at, entry.error, expires_at):
                await defer_store(self._jobs, conn, ticket.id, ticket.organization_id)
        if known is not None and known.state in _MOVED:
            # A crash came between the database and the spool. The ticket holds the key: it must not outlive the row's.
            await asyncio.to_thread(self._spool.remove, ticket.id)

    async def _insert(self, conn: Connection, ticket: RecordingTicket) -> None:
        sealed = await self._vault.seal(conn, ticket.organization_id, key_context(ticket.id), ticket.key)
        await repository.insert(conn, ticket.id, ticket.organization_id, ticket.call_id, ticket.started_at, sealed)


async def defer_store(jobs: Jobs, conn: Connection, recording_id: UUID, organization_id: UUID) -> None:
    """Have a finished recording moved to the file store, once ``conn``'s transaction has committed."""
    args = {"recording_id": str(recording_id), "organization_id": str(organization_id)}
    await jobs.defer(conn, STORE_JOB, args, lock=f"recording {recording_id}")
