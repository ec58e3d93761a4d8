"""Where SIP comes in: each event of the agent goes to the registrar, to a new call, to its leg, or to who waits for it.

REGISTER ─ authenticate ─ registrar.register ─ 200 with the bindings
INVITE ── carrier? ─ else authenticate ─ IncomingSipLeg ─ CallRequest ─ runner.start
in a session ─ its leg (`sip_leg`)
answers to our own requests ─ `requests`
anything else ─ a status that says what this server does
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import structlog

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.party import Party, PartyKind
from sent.calls.ports import CallRequest, LegEnded
from sent.gateway.authentication import Authentication, Caller, Challenged, Denied
from sent.gateway.endings import Side
from sent.gateway.flood import FloodGuard, Offence
from sent.gateway.inbound import called_numbers, calling_party
from sent.gateway.keep_alive import keep_alive
from sent.gateway.registrar import register
from sent.gateway.requests import OutsideRequests
from sent.gateway.sip_leg import Line, SipLeg
from sent.gateway.sip_leg_incoming import IncomingSipLeg
from sent.gateway.watched_agent import WatchedAgent
from sent.kit.errors import SentError
from sent.registrations.service import Registrations
from sent.sdp.capabilities import Encryption
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import (
    Event,
    InviteReceived,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
    TargetsNeeded,
)
from sent.sip.flow import Flow
from sent.sip.message import Request
from sent.sip.uri import SipUri, TelUri
from sent.trunks.directory import Account, Inbound, TrunkDirectory
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import TrunkLinks
from sent.trunks.models import SrtpPolicy

log = structlog.get_logger("sent.gateway")

MAX_PENDING = 2_000
"""Requests that are being authenticated or placed at once; more get 503."""
RETRY_AFTER_S = 10
MAX_DIALED = 128

_ENCRYPTION = {
    SrtpPolicy.OFF: Encryption.NEVER,
    SrtpPolicy.OFFERED: Encryption.OPTIONAL,
    SrtpPolicy.REQUIRED: Encryption.REQUIRED,
}

_Work = Callable[[], Coroutine[None, None, None]]


class Runner(Protocol):
    """`sent.calls.registry.CallRegistry` is one."""

    def start(self, request: CallRequest) -> UUID:
        """Take the call. Whatever becomes of it is told to its leg; never raises for what a caller did."""


@dataclass(frozen=True, slots=True)
class Trunks:
    """What incoming calls from carriers need."""

    directory: TrunkDirectory
    links: TrunkLinks
    usage: TrunkUsage


class SipServer:
    """Call `start` once, inside of the running loop and after `Registrations.load`.

    `drain` refuses new calls; `close` ends what is being authenticated.

    The port's agent is a `WatchedAgent`: without one, rubbish is not counted and closed connections are not noticed.
    """

    def __init__(
        self,
        line: Line,
        authentication: Authentication,
        flood: FloodGuard,
        registrations: Registrations,
        requests: OutsideRequests,
        trunks: Trunks,
        runner: Runner,
    ) -> None:
        self._line = line
        self._authentication = authentication
        self._flood = flood
        self._registrations = registrations
        self._requests = requests
        self._trunks = trunks
        self._runner = runner
        self._tasks: set[asyncio.Task[None]] = set()
        self._keep_alive: asyncio.Task[None] | None = None
        self._draining = False

    def start(self) -> None:
        port = self._line.port
        port.drop = lambda flow: not self._flood.admit(flow, port.now())
        if isinstance(port.agent, WatchedAgent):
            port.agent.on_malformed = lambda flow: self._flood.offended(flow, Offence.MALFORMED, port.now())
            port.agent.on_flow_closed = self._flow_closed
        for flow in self._registrations.flows():
            self._flood.authenticated(flow, port.now())  # phones that were registered before a restart
        port.listen(self.on_event)
        self._keep_alive = asyncio.get_running_loop().create_task(keep_alive(port, self._registrations))

    def drain(self) -> None:
        """Refuse new calls with 503 from now on; registrations and calls that are up go on."""
        self._draining = True

    async def close(self) -> None:
        tasks = [*self._tasks, *([self._keep_alive] if self._keep_alive is not None else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def on_event(self, event: Event) -> None:
        match event:
            case InviteReceived():
                self._take(event.flow, lambda: self.on_invite(event), lambda status: self._refuse(event, status))
            case RequestReceived():
                self._take(event.flow, lambda: self.on_request(event), lambda status: self._respond_busy(event, status))
            case ResponseReceived() | RequestFailed():
                self._requests.handle(event)
            case TargetsNeeded():
                pass  # the port's own
            case _:
                leg = event.session.context
                if isinstance(leg, SipLeg):
                    leg.handle(event)

    def _flow_closed(self, flow: Flow) -> None:
        self._flood.flow_closed(flow)
        self._registrations.flow_closed(flow)

    # -- INVITE ---------------------------------------------------------------------------------------------------

    async def on_invite(self, invite: InviteReceived) -> None:
        """A new call: find out who calls, make its leg, hand it to the runner."""
        if self._draining:
            self._refuse(invite)
            return
        request, flow = invite.request, invite.flow
        try:
            dialed = _dialed(request)
            accounts = await self._carriers(request, flow)
            if accounts:
                inbound = self._trunks.directory.inbound(accounts, called_numbers(request))
                assert inbound is not None
                self._on_carrier(invite, inbound, dialed)
                return
            who = await self._authentication.authenticate(request, flow, self._line.clock)
        except RemoteProtocolError as error:
            self._reject(invite, error.status, error.reason)
            return
        except SentError as error:
            log.warning("gateway.not_authenticated", code=error.code)
            self._refuse(invite)
            return
        match who:
            case Challenged(status=status, header=header):
                invite.session.reject(status, self._line.clock(), headers=(header,), stateless=True)
                self._line.port.touch()
            case Denied(status=status, words=words):
                self._reject(invite, status, words)
            case Caller():
                self._on_phone(invite, who, dialed)

    def _on_phone(self, invite: InviteReceived, caller: Caller, dialed: str) -> None:
        party = Party(PartyKind.USER, caller.number, caller.name, caller.user_id, caller.device_id)
        invite.session.symmetric = True
        leg = IncomingSipLeg(self._line, invite, party, Side(caller.name or caller.number), Encryption.OPTIONAL)
        self._run(CallRequest(caller.organization_id, party, dialed, leg), leg, invite.request)

    def _on_carrier(self, invite: InviteReceived, inbound: Inbound, dialed: str) -> None:
        trunk = inbound.trunk
        party = calling_party(invite.request, trunk)
        leg = IncomingSipLeg(self._line, invite, party, Side(party.name or party.number), _ENCRYPTION[trunk.srtp])
        full = self._trunks.usage.start(trunk, leg.leg_id, self._line.clock())
        if full is not None:
            refused = Ending(EndCode.LIMIT_REACHED, full.words, "system", Blame.US, 503)
            leg.end(refused)
        leg.when_over(lambda ended: self._trunks.usage.finish(trunk.id, ended.leg_id))
        called = inbound.number.number if inbound.number is not None else dialed
        self._run(CallRequest(trunk.organization_id, party, called, leg), leg, invite.request)

    def _run(self, call: CallRequest, leg: IncomingSipLeg, request: Request) -> None:
        call_id = self._runner.start(call)
        # RFC 3261 §16.6: what is left is carried on, so that a call between two systems cannot go round for ever.
        if request.max_forwards is not None:
            hops = self._line.hops
            hops[call_id] = request.max_forwards - 1

            def forget(_: LegEnded) -> None:
                hops.pop(call_id, None)

            leg.when_over(forget)

    async def _carriers(self, request: Request, flow: Flow) -> list[Account]:
        """The trunks that this call may come through; empty: it is a phone's, or a stranger's.

        A phone may share an address with a carrier (in a demo, all of them are on loopback). It is one when it answers
        our challenge, comes by a flow that has done so, or claims a device in From.
        """
        links = self._trunks.links
        account = links.called_by_contact(request)
        if account is not None:
            return [account]
        accounts = links.at_address(flow)
        if not accounts or self._authentication.has_credentials(request):
            return []
        if self._flood.is_trusted(flow, self._line.clock()) or await self._authentication.is_known_device(request):
            return []
        return accounts

    def _refuse(self, invite: InviteReceived, status: int = 503) -> None:
        if status == 503:
            words = "The server takes no new calls at the moment."
            self._reject(invite, 503, words, _RETRY_AFTER, stateless=True)
        else:
            self._reject(invite, status, "An internal error kept the call from being placed.")

    def _reject(
        self,
        invite: InviteReceived,
        status: int,
        words: str,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        stateless: bool = False,
    ) -> None:
        text = words.replace("\\", "").replace('"', "'")
        warning = ("Warning", f'399 {self._line.host} "{text}"')
        invite.session.reject(status, self._line.clock(), headers=(warning, *headers), stateless=stateless)
        self._line.port.touch()

    # -- other requests -------------------------------------------------------------------------------------------

    async def on_request(self, received: RequestReceived) -> None:
        match received.request.method:
            case "REGISTER":
                await self._on_register(received)
            case "OPTIONS":
                # RFC 3261 §11: what an INVITE would be told, without asking who wants to know.
                headers = (*self._line.port.agent.capabilities, ("Accept-Encoding", "identity"))
                self._respond(received, 503 if self._draining else 200, headers=headers)
            case "SUBSCRIBE" | "PUBLISH":
                # RFC 6665 §4.2.1.2: no event package is served here yet, so Allow-Events stays empty.
                self._respond(received, 489)
            case "NOTIFY":
                self._respond(received, 481)
            case _:
                self._respond(received, 501, headers=(("Allow", self._line.port.agent.allow),))

    async def _on_register(self, received: RequestReceived) -> None:
        request, flow = received.request, received.flow
        try:
            who = await self._authentication.authenticate(request, flow, self._line.clock)
            match who:
                case Challenged(status=status, header=header):
                    self._respond(received, status, headers=(header,), stateless=True)
                case Denied(status=status, words=words):
                    self._respond(received, status, reason=words)
                case Caller():
                    answer = register(request, who, flow, self._registrations)
                    self._respond(received, answer.status, reason=answer.phrase, headers=answer.headers)
        except RemoteProtocolError as error:
            self._respond(received, error.status, reason=error.reason)
        except SentError as error:
            log.warning("gateway.not_registered", code=error.code)
            self._respond_busy(received)

    def _respond_busy(self, received: RequestReceived, status: int = 503) -> None:
        self._respond(received, status, headers=_RETRY_AFTER if status == 503 else (), stateless=status == 503)

    def _respond(
        self,
        received: RequestReceived,
        status: int,
        *,
        reason: str | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        stateless: bool = False,
    ) -> None:
        agent, now = self._line.port.agent, self._line.clock()
        agent.respond(received.tx, status, now, reason=reason, headers=headers, stateless=stateless)
        self._line.port.touch()

    def _take(self, flow: Flow, work: _Work, refuse: Callable[[int], None]) -> None:
        """Do ``work`` beside the event loop's other business; most of it never waits. ``refuse``: there is too much."""
        if len(self._tasks) >= MAX_PENDING:
            refuse(503)
            return
        task = asyncio.get_running_loop().create_task(self._work(flow, work, refuse))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _work(self, flow: Flow, work: _Work, refuse: Callable[[int], None]) -> None:
        # Datagrams of a banned sender were dropped; what comes over a connection that was open before the ban was not.
        if flow.reliable and not self._flood.admit(flow, self._line.clock()):
            refuse(503)
            return
        try:
            await work()
        except Exception:
            log.exception("gateway.request_failed")
            refuse(500)


_RETRY_AFTER = (("Retry-After", str(RETRY_AFTER_S)),)


def _dialed(request: Request) -> str:
    """What was dialled: the user part of the Request-URI. Raises `RemoteProtocolError` when there is none."""
    uri = request.uri
    dialed = uri.digits if isinstance(uri, TelUri) else ""
    if isinstance(uri, SipUri) and uri.user:
        dialed = uri.user.partition(";")[0]
    if len(dialed) > MAX_DIALED:
        raise RemoteProtocolError("the Request-URI is longer than any number", status=414)
    if dialed and dialed.isprintable():
        return dialed
    raise RemoteProtocolError("the Request-URI names nobody", status=404)
