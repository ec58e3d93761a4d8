"""`sent serve`: puts the parts together, starts them in order, ends them in the opposite order.

    database ─ vault ─ engine ─ calls ─ gateway ─ SIP sockets ─ HTTP ─ background work

A SIGTERM takes no new calls, lets those that are up end by themselves for `DRAIN_SECONDS`, ends the rest, writes every record
and stops. A second one does not wait for the calls.
"""

from __future__ import annotations

import asyncio
import contextlib
import random
import secrets
import signal
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog

from sent.app.addresses import AdvertisedAddresses
from sent.app.background import register_jobs
from sent.app.certificates import ensure_certificate, server_context
from sent.app.dialplan import Dialplan, UserExtensions
from sent.app.local import database_settings
from sent.app.settings import Settings
from sent.app.watching import CountedCalls, count_message, sample
from sent.calls.leases import NodeLease, node_id
from sent.calls.media_events import MediaEvents
from sent.calls.record_store import DatabaseStore
from sent.calls.records import RecordWriter
from sent.calls.registry import CallRegistry
from sent.calls.spill import Spill
from sent.calls.tools import Tools
from sent.gateway.authentication import Authentication
from sent.gateway.flood import FloodGuard
from sent.gateway.ladder_tap import LadderTap
from sent.gateway.registrar import same_contact
from sent.gateway.requests import OutsideRequests
from sent.gateway.sip_leg import Line
from sent.gateway.sip_server import SipServer, Trunks
from sent.gateway.targets import SipTargets
from sent.gateway.watched_agent import WatchedAgent
from sent.identity.credentials import DEFAULT_REALM, DeviceCredentials
from sent.infra.db import Database
from sent.infra.http import Check, build_app, serve
from sent.infra.jobs import Jobs
from sent.infra.telemetry import Metrics
from sent.infra.vault import Vault, load_master_key
from sent.kit.errors import SentError, Unavailable
from sent.media.engine import RustEngine
from sent.pbx.announcements import find_announcements
from sent.pbx.service import PbxService
from sent.pbx.store import PbxStore
from sent.recordings.recorder import Recorder
from sent.recordings.spool import Spool
from sent.registrations.bindings import Bindings
from sent.registrations.repository import BindingRepository
from sent.registrations.service import Registrations
from sent.sip.config import AgentConfig, Trace
from sent.sip.nonce import NonceBook
from sent.transport.addresses import LocalAddresses
from sent.transport.sip_transport import SipTransport
from sent.trunks.directory import DatabaseAccounts, TrunkDirectory
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import TrunkLinks
from sent.trunks.routing import TrunkRouting
from sent.trunks.status import StatusWriter

log = structlog.get_logger("sent.app")

DRAIN_SECONDS = 20.0
_STOP_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Running:
    """What `serve` hands to its caller once everything listens."""

    settings: Settings
    database: Database
    vault: Vault
    certificate_is_self_signed: bool


async def run_server(settings: Settings, ready: Callable[[Running], Awaitable[None]]) -> None:
    """Serve until SIGTERM or SIGINT; ``ready`` is awaited once everything listens. Raises `SentError` where something that it needs cannot be had."""
    stop, hurry = asyncio.Event(), asyncio.Event()
    with _signals(stop, hurry):
        async with _server(settings, stop, hurry) as running:
            await ready(running)
            await stop.wait()
            log.info("app.stopping")


@contextlib.asynccontextmanager
async def _server(settings: Settings, stop: asyncio.Event, hurry: asyncio.Event) -> AsyncIterator[Running]:  # noqa: PLR0915  # wiring is one list
    process_start = datetime.now(UTC)
    try:
        settings.data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
    except OSError as error:
        raise Unavailable(
            "app.data_folder",
            f"The data folder {settings.data_dir} cannot be made: {error.strerror}. Set SENT_DATA_DIR to a folder that"
            " this user may write.",
        ) from error
    metrics = Metrics()
    async with contextlib.AsyncExitStack() as ends:
        # What lies on the disk and behind it.
        database = await Database.open(database_settings(settings))
        ends.push_async_callback(database.close)
        master = load_master_key(settings.data_dir / "master.key")
        vault = Vault(master)
        jobs = Jobs(database.server_dsn, metrics)
        spool = Spool(settings.data_dir / "spool" / "recordings", master)
        ends.callback(spool.close)
        recorder = Recorder(spool, database, vault, jobs, metrics)
        await recorder.recover()
        register_jobs(jobs, settings, database, vault, spool, metrics)
        node = node_id(settings.data_dir)
        lease = NodeLease(database, node, socket.gethostname(), process_start, lambda: calls.write_open_records())
        await lease.take()
        ends.push_async_callback(_quietly, lease.give_up)
        records = RecordWriter(DatabaseStore(database, node), Spill(settings.data_dir / "spool" / "calls"))
        ends.push_async_callback(records.close)

        # Media and calls.
        engine = RustEngine(*settings.rtp_ports, setting="SENT_RTP_PORTS")
        ends.callback(engine.shut_down)
        media_events = MediaEvents()
        engine.listen(media_events.dispatch)
        ladder = LadderTap()

        def trace(message: Trace) -> None:
            ladder.trace(message)
            count_message(metrics, message)

        local_addresses = LocalAddresses()
        addresses = AdvertisedAddresses(settings, local_addresses)
        agent = WatchedAgent(AgentConfig(advertise=addresses.for_sip, trace=trace), lambda: secrets.token_hex(12))
        transport = SipTransport(agent)
        ends.push_async_callback(transport.close)
        line = Line(
            transport,
            engine,
            media_events,
            lambda peer: addresses.for_media(peer, transport.now()),
            settings.advertise or settings.bind,
        )
        registrations = Registrations(Bindings(same_contact), BindingRepository(database), transport.now)
        requests = OutsideRequests(transport)
        directory = TrunkDirectory(DatabaseAccounts(database, vault))
        links = TrunkLinks(directory, requests, transport, transport.now, random.random)
        usage = TrunkUsage()
        pbx = PbxService(PbxStore(database), find_announcements(settings.data_dir / "announcements"), transport.now)
        calls = CallRegistry(
            Tools(
                engine=engine,
                media_events=media_events,
                targets=SipTargets(line, registrations, directory, links, usage),
                dialplan=Dialplan(pbx, TrunkRouting(directory, links)),
                records=records,
                now=lambda: datetime.now(UTC),
                node_id=node,
                recorder=recorder,
                ladder=ladder,
                metrics=CountedCalls(metrics),
            )
        )

        # Who may call, and where SIP comes in.
        credentials = DeviceCredentials(database, vault)
        flood = FloodGuard()
        authentication = Authentication(
            DEFAULT_REALM, credentials, UserExtensions(pbx), NonceBook(secrets.token_bytes(32)), flood
        )
        server = SipServer(line, authentication, flood, registrations, requests, Trunks(directory, links, usage), calls)
        await registrations.load()
        server.start()
        ends.push_async_callback(server.close)
        certificate = ensure_certificate(settings, process_start)
        await transport.listen_udp(settings.bind, settings.sip_port, "SENT_SIP_PORT")
        await transport.listen_tcp(settings.bind, settings.sip_port, "SENT_SIP_PORT")
        await transport.listen_tls(
            settings.bind, settings.sip_tls_port, server_context(certificate), "SENT_SIP_TLS_PORT"
        )

        # HTTP, and what runs beside the calls. The first group ends with the calls, the second only after them.
        checks = _checks(database, engine, transport)
        until_end = asyncio.Event()
        background = _Background()
        ends.push_async_callback(background.end, until_end)
        http_listens = asyncio.Event()
        background.start(
            serve(
                build_app(checks, metrics),
                settings.bind,
                settings.http_port,
                until_end,
                started=lambda _host, _port: http_listens.set(),
            ),
            "http",
        )
        await background.listening(http_listens)
        links.start()
        ends.push_async_callback(links.stop)
        background.start(records.run(), "call records")
        background.start(lease.run(), "node lease")
        background.start(recorder.run(until_end), "recorder")
        background.start(registrations.run(until_end), "registrations")
        background.start(credentials.run(), "device changes")
        background.start(pbx.run(database.server_dsn), "routing changes")
        background.start(directory.run(until_end), "trunk changes")
        background.start(jobs.run(until_end), "jobs")
        statuses = StatusWriter(database, directory, links, usage, transport.now, lambda: datetime.now(UTC))
        background.start(statuses.run(), "trunk status")
        background.start(sample(metrics, engine, calls, registrations, directory, links), "samples")

        try:
            yield Running(settings, database, vault, certificate.self_signed)
        finally:
            server.drain()
            await _drain(calls, hurry)
            await records.flushed()


async def _drain(calls: CallRegistry, hurry: asyncio.Event) -> None:
    if len(calls):
        log.info("app.draining", calls=len(calls), seconds=DRAIN_SECONDS)
    draining = asyncio.ensure_future(calls.drain(DRAIN_SECONDS))
    hurrying = asyncio.ensure_future(hurry.wait())
    await asyncio.wait((draining, hurrying), return_when=asyncio.FIRST_COMPLETED)
    hurrying.cancel()
    if not draining.done():
        draining.cancel()
        await asyncio.wait((draining,))
        await calls.drain(0)


class _Background:
    """Tasks that live as long as the server. One that ends in an error is logged; the server goes on."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[None, None, None], name: str) -> None:
        task = asyncio.get_running_loop().create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    async def listening(self, event: asyncio.Event) -> None:
        """Wait for ``event``, or raise what ended the only task before it came."""
        (task,) = self._tasks
        task.remove_done_callback(self._done)  # what ends it now is raised here, and need not be logged as well
        waiting = asyncio.ensure_future(event.wait())
        await asyncio.wait((task, waiting), return_when=asyncio.FIRST_COMPLETED)
        waiting.cancel()
        if task.done():
            self._tasks.discard(task)
            await task
        task.add_done_callback(self._done)

    async def end(self, until_end: asyncio.Event) -> None:
        """Those that watch ``until_end`` finish their work; the others are cancelled."""
        until_end.set()
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=0.5)
        for task in self._tasks:
            if task.get_name() in (
                "call records",
                "node lease",
                "device changes",
                "routing changes",
                "trunk status",
                "samples",
            ):
                task.cancel()
        if self._tasks:
            _, late = await asyncio.wait(self._tasks, timeout=_STOP_SECONDS)
            for task in late:
                log.warning("app.task_cut_short", task=task.get_name())
                task.cancel()
            await asyncio.gather(*late, return_exceptions=True)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            log.error("app.task_failed", task=task.get_name(), exc_info=error)


def _checks(database: Database, engine: RustEngine, transport: SipTransport) -> list[Check]:
    async def media() -> None:
        health = engine.health()
        if not health.threads:
            raise Unavailable("media.stopped", "The media engine has no threads. Restart SENT.")

    async def sip() -> None:
        if not transport.is_listening:
            raise Unavailable("sip.not_listening", "No SIP socket is open. Restart SENT; its log says why.")

    return [
        Check("database", lambda: database.ping(2.0), "Is PostgreSQL running? `sent doctor` checks."),
        Check("media", media, "Restart SENT."),
        Check("sip", sip, "Restart SENT."),
    ]


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
