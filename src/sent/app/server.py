"""`sent serve`: puts the parts together, starts them in order, ends them in the opposite order.

    data folder ─ storage ─ calling ─ node lease ─ entrance (SIP) ─ HTTP ─ work beside the calls

A SIGTERM takes no new calls, lets those that are up end by themselves for `DRAIN_SECONDS`, ends the rest, writes every
record and stops. A second one does not wait for the calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial

from sent.app.calling import Calling, build_calling
from sent.app.entrance import Entrance, open_entrance
from sent.app.instance import only_server
from sent.app.readiness import readiness_checks
from sent.app.settings import Settings
from sent.app.storage import Storage, open_storage
from sent.app.tasks import Tasks
from sent.app.watching import RefusedCounter, sample
from sent.calls.commands import follow_commands
from sent.calls.leases import NodeLease
from sent.calls.registry import CallRegistry
from sent.infra.db import Database
from sent.infra.http import build_app, serve
from sent.infra.telemetry import Metrics, get_logger
from sent.infra.vault import Vault
from sent.kit.errors import SentError
from sent.trunks.status import StatusWriter

log = get_logger("sent.app")

DRAIN_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Running:
    """What `run_server` hands to its caller once everything listens."""

    settings: Settings
    database: Database
    vault: Vault
    certificate_is_self_signed: bool
    reload_trunks: Callable[[], Awaitable[None]]
    """So that a trunk made just now can be used at once; otherwise it is seen within seconds."""


async def run_server(settings: Settings, ready: Callable[[Running], Awaitable[None]]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is awaited once everything listens.

    Raises `SentError` where something that it needs cannot be had; then nothing of it is left open.
    """
    stop, hurry = asyncio.Event(), asyncio.Event()
    with _signals(stop, hurry):
        async with _server(settings, stop, hurry) as running:
            await ready(running)
            await stop.wait()
            log.info("app.stopping")


@contextlib.asynccontextmanager
async def _server(settings: Settings, stop: asyncio.Event, hurry: asyncio.Event) -> AsyncIterator[Running]:
    process_start = datetime.now(UTC)
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as ends:
        ends.enter_context(only_server(settings.data_dir))
        storage = await open_storage(settings, metrics, ends)
        calling = build_calling(settings, storage, metrics, ends)
        lease = NodeLease(
            storage.database, storage.node, socket.gethostname(), process_start, calling.calls.write_open_records
        )
        await lease.take()
        ends.push_async_callback(_quietly, lease.give_up)
        ends.push_async_callback(storage.records.close)
        # A start that fails half-way, with some sockets open already, may have let a call in.
        ends.push_async_callback(calling.calls.drain, 0)
        entrance = await open_entrance(settings, storage, calling, process_start, ends)

        # What is told to end ends after the last call, and before what it works with.
        until_end = asyncio.Event()
        tasks = Tasks()
        ends.push_async_callback(tasks.end)
        ends.callback(until_end.set)
        await _start_http(settings, storage, calling, metrics, stop, until_end, tasks)
        calling.trunks.links.start()
        ends.push_async_callback(calling.trunks.links.stop)
        _start_tasks(storage, calling, entrance, lease, metrics, until_end, tasks)
        try:
            yield Running(
                settings,
                storage.database,
                storage.vault,
                entrance.certificate_is_self_signed,
                calling.trunks.directory.refresh,
            )
        finally:
            entrance.server.drain()
            await _drain(calling.calls, hurry)
            await storage.records.flushed()


async def _start_http(
    settings: Settings,
    storage: Storage,
    calling: Calling,
    metrics: Metrics,
    stop: asyncio.Event,
    until_end: asyncio.Event,
    tasks: Tasks,
) -> None:
    listens = asyncio.Event()
    app = build_app(readiness_checks(storage.database, calling, stop), metrics)
    work = partial(serve, app, settings.bind, settings.http_port, until_end, started=lambda _host, _port: listens.set())
    await tasks.start_listening(work, "http", listens)


def _start_tasks(
    storage: Storage,
    calling: Calling,
    entrance: Entrance,
    lease: NodeLease,
    metrics: Metrics,
    until_end: asyncio.Event,
    tasks: Tasks,
) -> None:
    dsn, trunks = storage.database.server_dsn, calling.trunks
    for name, told in (
        ("recorder", storage.recorder.run),
        ("registrations", calling.registrations.run),
        ("trunk changes", trunks.directory.run),
        ("jobs", storage.jobs.run),
    ):
        tasks.start(partial(told, until_end), name)
    statuses = StatusWriter(
        storage.database, trunks.directory, trunks.links, trunks.usage, calling.transport.now, lambda: datetime.now(UTC)
    )
    samples = partial(
        sample, metrics, calling.engine, calling.calls, calling.registrations, trunks.directory, trunks.links,
        RefusedCounter(metrics, calling.transport.agent.counters, entrance.flood.counters),
    )  # fmt: skip
    for name, endless in (
        ("call records", storage.records.run),
        ("call commands", partial(follow_commands, dsn, calling.calls)),
        ("node lease", lease.run),
        ("device changes", entrance.credentials.run),
        ("routing changes", partial(calling.pbx.run, dsn)),
        ("trunk status", statuses.run),
        ("samples", samples),
    ):
        tasks.start(endless, name, endless=True)


async def _drain(calls: CallRegistry, hurry: asyncio.Event) -> None:
    if len(calls):
        log.info("app.draining", calls=len(calls), seconds=DRAIN_SECONDS)
    draining = asyncio.create_task(calls.drain(DRAIN_SECONDS), name="drain calls")
    hurrying = asyncio.create_task(hurry.wait(), name="hurry")
    try:
        await asyncio.wait((draining, hurrying), return_when=asyncio.FIRST_COMPLETED)
    finally:
        hurrying.cancel()
    if draining.done():
        await draining
    else:
        draining.cancel()
        await asyncio.wait((draining,))
        await calls.drain(0)


async def _quietly(work: Callable[[], Coroutine[None, None, None]]) -> None:
    """At the end: a database that is gone must not keep the rest from closing."""
    try:
        await work()
    except SentError as error:
        log.warning("app.not_finished", why=error.message)


@contextlib.contextmanager
def _signals(stop: asyncio.Event, hurry: asyncio.Event) -> Iterator[None]:
    loop = asyncio.get_running_loop()

    def asked() -> None:
        if stop.is_set():
            hurry.set()
        stop.set()

    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, asked)
    try:
        yield
    finally:
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.remove_signal_handler(number)
