"""The agent: bytes and time in, bytes and events out (RFC 3261 with the companions that `sent.sip` lists).

    shell ── receive(data, flow, now) ─▶ ┌───────┐ ── next_event() ─▶ application
          ◀─ to_send(now) ────────────── │ Agent │
          ── handle_timer(now) ────────▶ └───────┘ ◀─ commands (request, respond, invite, Session.…) ── application

After each call of any method here or of a `Session`, the shell must send what `to_send` gives, close what `to_close`
names, handle the events, and call `handle_timer` at `next_timer`. Nothing here waits, and no clock is read: ``now`` is
monotonic seconds and never goes back.

All that a message can reach is in one of four tables, each bounded: transactions, sessions, dialogs, streams.
"""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable, Sequence
from zlib import crc32

from sent.sip.authorization import Authorizer, Login
from sent.sip.bodies import SDP
from sent.sip.client_request import ClientRequest
from sent.sip.config import DIALOG_METHODS, EXTENSIONS, AgentConfig, Trace
from sent.sip.dialog import Dialog, DialogId
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import Event, RequestFailed, RequestId, ResponseReceived, TransactionId
from sent.sip.flow import Flow, Send, Target
from sent.sip.header_values import NameAddr
from sent.sip.headers import Headers
from sent.sip.intake import Intake, complete_via
from sent.sip.message import Message, Request, Response, reply_to
from sent.sip.params import NO_PARAMS, Params
from sent.sip.parser import is_keep_alive, parse_datagram, validate
from sent.sip.router import Router, target_of
from sent.sip.session import Session
from sent.sip.session_state import SessionState
from sent.sip.session_timer import request_headers
from sent.sip.session_uac import OutgoingInvite
from sent.sip.stream_parser import KeepAlive, MalformedMessage, StreamParser
from sent.sip.timers import Timers
from sent.sip.transaction.client import FailureCause
from sent.sip.transaction.layer import Transactions, response_target
from sent.sip.transaction.server import ServerTransaction
from sent.sip.uri import SipUri, Uri

HeaderList = Sequence[tuple[str, str]]


class Agent:
    """``new_token`` gives tokens of at least 96 random bits; branches, tags, Call-IDs and cnonces are made of them."""

    def __init__(self, config: AgentConfig, new_token: Callable[[], str]) -> None:
        self.config = config
        self.new_token = new_token
        self.counters: Counter[str] = Counter()
        self.methods = (*DIALOG_METHODS, *sorted(config.methods - set(DIALOG_METHODS)))
        self.allow = ", ".join(self.methods)
        self.allow_inside = ", ".join(DIALOG_METHODS)
        """What a call's own messages say: what may come inside of it (RFC 3261 §20.5), which keeps them short."""
        self.supported = ", ".join(EXTENSIONS)
        self.capabilities = (("Allow", self.allow), ("Accept", SDP), ("Supported", self.supported))
        self.sessions: dict[int, Session] = {}
        self.dialogs: dict[DialogId, tuple[Session, Dialog]] = {}
        self.streams: dict[Flow, StreamParser] = {}
        self.layer = Transactions(config, new_token, Intake(self), self.counters)
        self.timers: Timers = self.layer.timers
        self.router = Router(self.emit, self.streams)
        self._events: deque[Event] = deque()
        self._to_close: list[Flow] = []
        self._serial = 0

    # ---- the shell's side

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        """A datagram, or a chunk of a stream. Never raises for what a peer may have sent."""
        if flow.transport != "UDP":
            self._receive_stream(data, flow, now)
            return
        if is_keep_alive(data):
            self.counters["keepalives"] += 1
            if data.startswith(b"\r\n\r\n"):
                # RFC 5626 §3.5.1 says so for streams only; phones ping like that over UDP and miss the pong.
                self.layer.output.append(Send(target_of(flow), b"\r\n"))
            return
        try:
            message = parse_datagram(data)
        except RemoteProtocolError as error:
            self._malformed(error, flow, now)
            return
        self._receive_message(message, flow, now)

    def flow_closed(self, flow: Flow, now: float) -> None:
        """A connection is gone. Requests that wait on it fail over or fail."""
        self.streams.pop(flow, None)
        self.layer.transport_failed(flow.transport, flow.remote, flow, now)

    def send_failed(self, target: Target, now: float) -> None:
        """What `to_send` gave for ``target`` could not be sent."""
        self.counters["sends_failed"] += 1
        self.layer.transport_failed(target.transport, target.remote, target.flow, now, target.server_name)

    def ping(self, flow: Flow) -> None:
        """Send what keeps a NAT's memory of ``flow`` fresh, and means nothing (RFC 5626 §4.4.1)."""
        self.layer.output.append(Send(target_of(flow), b"\r\n\r\n"))

    def to_send(self, now: float) -> list[Send]:
        output = self.layer.output
        self.layer.output = []
        return output

    def to_close(self) -> list[Flow]:
        """Streams whose framing is lost: close them after sending."""
        flows, self._to_close = self._to_close, []
        return flows

    def failed_targets(self) -> list[Target]:
        """Those that answered 503 or not at all since the last call: to be tried last for a while (RFC 3263 §4.3)."""
        failed, self.layer.failed = self.layer.failed, []
        return failed

    def next_timer(self) -> float | None:
        return self.timers.next_at()

    def handle_timer(self, now: float) -> None:
        self.timers.fire_due(now)

    def next_event(self) -> Event | None:
        return self._events.popleft() if self._events else None

    def targets_found(self, key: int, targets: list[Target], now: float) -> None:
        """The answer to `TargetsNeeded`; empty when the look-up failed."""
        self.router.found(key, targets, now)

    # ---- the application's side

    def respond(
        self,
        tx: TransactionId,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: HeaderList = (),
        body: bytes = b"",
        stateless: bool = False,
    ) -> bool:
        """Answer `RequestReceived`. False when it is too late: its sender has given up.

        ``stateless`` forgets the request at once, as is right for challenges (a flood then fills no table).
        """
        transaction = self.layer.servers.get(tx)
        if transaction is None or transaction.final_sent:
            return False
        self.reply(transaction, status, now, reason=reason, headers=headers, body=body)
        if stateless and status >= 300:
            transaction.forget(now)
        return True

    def request(self, request: Request, targets: Sequence[Target], now: float, login: Login | None = None) -> RequestId:
        """Send a request outside of any session; `ResponseReceived` or `RequestFailed` follow.

        From (with tag), To, Call-ID, CSeq, Max-Forwards and Via are filled in where they are missing. When a challenge
        was answered, the CSeq that was used last is in the response: go on from there for the next REGISTER.
        """
        self._serial += 1
        headers = request.headers
        sender = request.from_ if headers.has("From") else NameAddr(request.uri)
        if sender.tag is None:
            headers.set("From", str(sender.with_tag(self.new_token())))
        for name, value in (
            ("To", f"<{request.uri}>"),
            ("Call-ID", self.new_token()),
            ("CSeq", f"1 {request.method}"),
            ("Max-Forwards", "70"),
        ):
            if not headers.has(name):
                headers.add(name, value)
        user = _Outside(self, self._serial, request.cseq.number)
        authorizer = Authorizer(login, self.new_token) if login is not None else None
        ClientRequest(self.layer, request, targets, user, user.next_cseq, authorizer, self.complete_request).start(now)
        return user.request_id

    def invite(
        self,
        uri: Uri,
        *,
        from_: NameAddr,
        targets: Sequence[Target],
        now: float,
        offer: bytes | None,
        to: NameAddr | None = None,
        contact: str | None = None,
        headers: HeaderList = (),
        login: Login | None = None,
        session_expires: int | None = None,
        call_id: str | None = None,
    ) -> Session:
        """Call ``uri``. ``offer`` None leaves the offer to the callee. ``contact`` None: made from the address towards
        the target. ``session_expires`` 0 switches session timers off. All targets get the same body."""
        call_id = call_id or self.new_token()
        session = self.new_session(call_id, SessionState.CALLING, login)
        session.contact = contact
        session.contact_user = getattr(from_.uri, "user", None)
        if session_expires is not None:
            session.session_expires = session_expires
        session.local_sdp = offer
        request = Request("INVITE", uri, Headers())
        out = request.headers
        out.add("Max-Forwards", "70")
        out.add("From", str(from_.with_tag(self.new_token())))
        out.add("To", str(to if to is not None else NameAddr(uri)))
        out.add("Call-ID", call_id)
        out.add("CSeq", "1 INVITE")
        out.add("Allow", self.allow_inside)
        out.add("Supported", self.supported)
        out.add("User-Agent", self.config.user_agent)
        for name, value in request_headers(session.session_expires, session.min_session_expires, None):
            out.add(name, value)
        for name, value in headers:
            out.set(name, value) if name.lower() == "max-forwards" else out.add(name, value)
        session.add_body(request, offer)
        session.uac = OutgoingInvite(session, request, targets, login, has_offer=offer is not None)
        session.uac.start(now)
        return session

    # ---- for the parts of the agent

    def emit(self, event: Event) -> None:
        self._events.append(event)

    def random(self) -> float:
        """0 ≤ x < 1, out of a token, so that a seeded token source makes all of it repeatable."""
        return crc32(self.new_token().encode()) / 2**32

    def new_session(self, call_id: str, state: SessionState, login: Login | None) -> Session:
        self._serial += 1
        session = Session(self, self._serial, call_id, state, login)
        self.sessions[session.id] = session
        return session

    def know(self, dialog: Dialog, session: Session) -> None:
        self.dialogs[dialog.id] = (session, dialog)
        session.dialogs.add(dialog.id)

    def unknow(self, dialog: Dialog) -> None:
        known = self.dialogs.pop(dialog.id, None)
        if known is not None:
            known[0].dialogs.discard(dialog.id)

    def forget(self, session: Session) -> None:
        self.sessions.pop(session.id, None)
        for dialog_id in session.dialogs:
            self.dialogs.pop(dialog_id, None)
        session.dialogs.clear()

    def reply(
        self,
        tx: ServerTransaction,
        status: int,
        now: float,
        *,
        reason: str | None = None,
        headers: HeaderList = (),
        body: bytes = b"",
        sdp: bytes | None = None,
    ) -> None:
        response = tx.request.reply(status, reason, None if status == 100 else tx.to_tag or self.new_token())
        for name, value in headers:
            response.headers.add(name, value)
        response.body = body
        if sdp is not None:
            response.headers.add("Content-Type", SDP)
            response.body = sdp
        self.add_server(response)
        tx.respond(response, now)

    def reply_statelessly(self, response: Response, target: Target, now: float) -> None:
        """RFC 3261 §8.2.7: nothing is remembered."""
        self.add_server(response)
        self.layer.transmit(target, response, response.to_bytes(), now)

    def add_server(self, response: Response) -> None:
        response.headers.add("Server", self.config.user_agent)

    def complete_request(self, request: Request, target: Target) -> None:
        request.headers.add("User-Agent", self.config.user_agent)

    def contact_for(self, place: Flow | Target, user: str | None) -> str:
        host, port = self.config.advertise(place)
        params = NO_PARAMS if place.transport == "UDP" else Params((("transport", place.transport.lower()),))
        return f"<{SipUri('sip', host, user, None, port, params)}>"

    # ---- receiving

    def _receive_stream(self, data: bytes, flow: Flow, now: float) -> None:
        parser = self.streams.get(flow)
        if parser is None:
            parser = self.streams[flow] = StreamParser()
        for item in parser.feed(data):
            if isinstance(item, KeepAlive):
                self.counters["keepalives"] += 1
                if item.ping:  # RFC 5626 §3.5.1
                    self.layer.output.append(Send(target_of(flow), b"\r\n"))
            elif isinstance(item, MalformedMessage):
                self._malformed(item.error, flow, now)
                if item.fatal:
                    self._to_close.append(flow)
            else:
                self._receive_message(item, flow, now)

    def _receive_message(self, message: Message, flow: Flow, now: float) -> None:
        if self.config.trace is not None:
            self.config.trace(Trace("in", flow, message, now))
        try:
            if isinstance(message, Request):
                complete_via(message.headers, flow)
                validate(message)
                self.layer.receive_request(message, flow, now)
            else:
                validate(message)
                self.layer.receive_response(message, now)
        except RemoteProtocolError as error:
            self._malformed(error, flow, now)

    def _malformed(self, error: RemoteProtocolError, flow: Flow, now: float) -> None:
        """400, or what the error says, where a Via is usable; else silence, and always to an ACK (RFC 3261 §17)."""
        self.counters["malformed"] += 1
        if error.method is None or error.method == "ACK" or error.headers is None:
            return
        headers = error.headers
        try:
            target = response_target(complete_via(headers, flow), flow)
        except RemoteProtocolError:
            return
        self.reply_statelessly(reply_to(headers, error.status, error.reason, self.new_token()), target, now)


class _Outside:
    """The user of a request outside of sessions: all goes to the application."""

    __slots__ = ("_agent", "_cseq", "request_id")

    def __init__(self, agent: Agent, request_id: RequestId, cseq: int) -> None:
        self._agent = agent
        self._cseq = cseq
        self.request_id = request_id

    def next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def on_provisional(self, response: Response, now: float) -> None:
        self._agent.emit(ResponseReceived(self.request_id, response))

    def on_final(self, response: Response, now: float) -> None:
        self._agent.emit(ResponseReceived(self.request_id, response))

    def on_request_failed(self, cause: FailureCause, now: float) -> None:
        self._agent.emit(RequestFailed(self.request_id, cause))
