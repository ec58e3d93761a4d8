"""A scripted SIP phone on a `Wire`: registers, calls, answers, holds, vanishes; remembers all that it saw.

alice = WirePhone(wire, "alice", "10.0.0.1", password="secret", server=("10.0.0.9", 5060))
await alice.register()
call = alice.call("bob")
await call.wait(Accepted)
call.hold()
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.events import (
    Accepted,
    Cancelled,
    Ended,
    Event,
    Failed,
    InviteReceived,
    Offered,
    Progress,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from sent.sip.header_values import NameAddr
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.session import Session
from sent.sip.uri import SipUri, Uri, parse_uri
from sent.testing.wire import Address, Wire

E = TypeVar("E", bound=Event)

LAST_EVENTS = (Failed, Cancelled, Ended)
_ANSWER_TO = {"sendrecv": "sendrecv", "sendonly": "recvonly", "recvonly": "sendonly", "inactive": "inactive"}


@dataclass(slots=True)
class PhoneScript:
    """What a phone does by itself when it is called. Seconds; None: never."""

    ring_after: float | None = 0.0
    answer_after: float | None = 1.0
    reject_with: int | None = None
    reliable: bool = False
    """Ring with a reliable 183 that has SDP (RFC 3262), where the caller can."""
    answer_offers: bool = True
    """Accept re-INVITE and UPDATE; otherwise 488."""
    headers: tuple[tuple[str, str], ...] = ()
    """In its final response: Reason, Warning …"""


@dataclass(slots=True)
class _Media:
    """The phone's half of the session description."""

    address: str
    port: int
    direction: str = "sendrecv"
    version: int = 1

    def sdp(self) -> bytes:
        return (
            f"v=0\r\no=- 1 {self.version} IN IP4 {self.address}\r\ns=-\r\nc=IN IP4 {self.address}\r\nt=0 0\r\n"
            f"m=audio {self.port} RTP/AVP 0 8 101\r\na=rtpmap:0 PCMU/8000\r\na=rtpmap:8 PCMA/8000\r\n"
            f"a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-15\r\na={self.direction}\r\n"
        ).encode()


def direction_of(sdp: bytes | None) -> str | None:
    """The direction attribute of a description, ``sendrecv`` where it has none; None for no description."""
    if sdp is None:
        return None
    for direction in _ANSWER_TO:
        if f"a={direction}\r\n".encode() in sdp:
            return direction
    return "sendrecv"


class Call:
    """One session of a phone, with all events of it in ``events``."""

    def __init__(self, phone: WirePhone, session: Session, media: _Media) -> None:
        self.phone = phone
        self.session = session
        self.events: list[Event] = []
        self.incoming: Request | None = None
        self._media = media

    def saw(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def last(self) -> Event | None:
        """`Failed`, `Cancelled` or `Ended`, once it is over."""
        return next((event for event in self.events if isinstance(event, LAST_EVENTS)), None)

    async def wait(self, kind: type[E], count: int = 1, timeout: float = 90.0) -> E:  # noqa: ASYNC109 - says what was missing
        """The ``count``-th event of this kind. Raises `AssertionError` that names what came instead."""
        waited = asyncio.get_running_loop().time() + timeout
        while len(found := self.saw(kind)) < count:
            left = waited - asyncio.get_running_loop().time()
            if left <= 0:
                seen = ", ".join(type(event).__name__ for event in self.events)
                raise AssertionError(f"{self.phone.user} waited {timeout} s for {kind.__name__}; it saw: {seen}")
            self.phone.changed.clear()
            try:
                async with asyncio.timeout(left):
                    await self.phone.changed.wait()
            except TimeoutError:
                continue
        return found[count - 1]

    # ---- what a person does

    def answer(self) -> None:
        if self.incoming is not None:
            self._media.direction = self._answer_direction(self.session.remote_sdp)
        self.session.answer(self.phone.now(), self._media.sdp(), headers=self.phone.script.headers)
        self.phone.port.touch()

    def reject(self, status: int) -> None:
        self.session.reject(status, self.phone.now(), headers=self.phone.script.headers)
        self.phone.port.touch()

    def hang_up(self) -> None:
        self.session.end(self.phone.now(), status=603)
        self.phone.port.touch()

    def cancel(self) -> None:
        self.session.cancel(self.phone.now())
        self.phone.port.touch()

    def hold(self, direction: str = "sendonly") -> None:
        self._offer(direction)

    def unhold(self) -> None:
        self._offer("sendrecv")

    def _offer(self, direction: str, method: str | None = None) -> None:
        self._media.direction = direction
        self._media.version += 1
        self.session.offer(self._media.sdp(), self.phone.now(), method=method)
        self.phone.port.touch()

    def update(self, direction: str = "sendrecv") -> None:
        self._offer(direction, "UPDATE")

    def ask_for_offer(self) -> None:
        """Un-hold the way of some phones: a re-INVITE without SDP."""
        self.session.ask_for_offer(self.phone.now())
        self.phone.port.touch()

    def info(self, content_type: str, body: bytes) -> None:
        self.session.info(content_type, body, self.phone.now())
        self.phone.port.touch()

    # ---- by itself

    def handle(self, event: Event) -> None:
        self.events.append(event)
        now = self.phone.now()
        if isinstance(event, Progress | Accepted) and event.offer_pending:
            self._media.direction = self._answer_direction(event.sdp)
            self.session.answer_offer(self._media.sdp(), now)
        elif isinstance(event, Offered):
            if not self.phone.script.answer_offers:
                self.session.refuse_offer(488, now)
                return
            self._media.direction = self._answer_direction(event.sdp)
            self._media.version += 1
            self.session.answer_offer(self._media.sdp(), now)

    def _answer_direction(self, offer: bytes | None) -> str:
        return _ANSWER_TO[direction_of(offer) or "sendrecv"]

    def follow_script(self) -> None:
        script, loop = self.phone.script, self.phone.port.loop
        if script.reject_with is not None:
            status = script.reject_with
            loop.call_later(script.answer_after or 0.0, lambda: self.reject(status))
            return
        if script.ring_after is not None:
            loop.call_later(script.ring_after, self._ring)
        if script.answer_after is not None:
            loop.call_later(script.answer_after, self.answer)

    def _ring(self) -> None:
        if self.phone.script.reliable:
            self.session.progress(183, self.phone.now(), self._media.sdp(), reliable=True)
        else:
            self.session.progress(180, self.phone.now())
        self.phone.port.touch()


@dataclass(slots=True)
class _Waiting:
    future: asyncio.Future[Response]
    responses: list[Response] = field(default_factory=list)


class WirePhone:
    """``server`` is its registrar and outbound proxy; None for a phone that is called by address."""

    def __init__(
        self,
        wire: Wire,
        user: str,
        host: str,
        *,
        password: str = "",
        port: int = 5060,
        domain: str = "example.test",
        server: Address | None = None,
        script: PhoneScript | None = None,
        config: AgentConfig | None = None,
    ) -> None:
        self.user = user
        self.domain = domain
        self.server = server
        self.script = script or PhoneScript()
        self.login = Login(user, password) if password else None
        self.agent = Agent(config or AgentConfig(user_agent=f"WirePhone {user}", methods=frozenset()), wire.token)
        self.port = wire.attach(self.agent, host, port)
        self.calls: list[Call] = []
        self.requests: list[RequestReceived] = []
        self.changed = asyncio.Event()
        self.on_request: Callable[[RequestReceived], None] | None = None
        self._wire = wire
        self._next_media_port = 20_000
        self._waiting: dict[int, _Waiting] = {}
        self._cseq = 0
        self._register_id = wire.token()
        self.port.listen(self._handle)

    def now(self) -> float:
        return self.port.now()

    @property
    def address_of_record(self) -> SipUri:
        return SipUri("sip", self.domain, self.user)

    # ---- commands

    async def register(self, expires: int = 3600) -> Response:
        """One REGISTER with its challenge; the final response. Raises `AssertionError` when none comes."""
        assert self.server is not None
        registrar = SipUri("sip", self.domain)
        target = self.port.target(self.server)
        self._cseq += 1
        headers = Headers(
            [
                ("From", str(NameAddr(self.address_of_record))),
                ("To", str(NameAddr(self.address_of_record))),
                ("Call-ID", self._register_id),
                ("CSeq", f"{self._cseq} REGISTER"),
                ("Contact", self.agent.contact_for(target, self.user)),
                ("Expires", str(expires)),
            ]
        )
        request_id = self.agent.request(Request("REGISTER", registrar, headers), [target], self.now(), self.login)
        waiting = self._waiting[request_id] = _Waiting(self.port.loop.create_future())
        self.port.touch()
        response = await waiting.future
        self._cseq = response.cseq.number
        return response

    def call(
        self,
        callee: str | Uri,
        *,
        late_offer: bool = False,
        targets: list[Address] | None = None,
        headers: tuple[tuple[str, str], ...] = (),
        session_expires: int | None = None,
    ) -> Call:
        """``callee`` is an extension at our domain, a URI as text, or a URI."""
        uri = callee if not isinstance(callee, str) else self._uri(callee)
        places = targets or ([self.server] if self.server is not None else None)
        if places is None:
            assert isinstance(uri, SipUri)
            places = self._wire.addresses_of(uri)
        media = self._media()
        session = self.agent.invite(
            uri,
            from_=NameAddr(self.address_of_record),
            targets=[self.port.target(place) for place in places],
            now=self.now(),
            offer=None if late_offer else media.sdp(),
            headers=headers,
            login=self.login,
            session_expires=session_expires,
        )
        call = self._add(session, media)
        self.port.touch()
        return call

    def vanish(self) -> None:
        """Power off: it neither hears nor says anything from now on."""
        self.port.silent = True

    async def wait_for_call(self, count: int = 1, timeout: float = 60.0) -> Call:  # noqa: ASYNC109 - as Call.wait
        async with asyncio.timeout(timeout):
            while len(self.calls) < count:
                self.changed.clear()
                await self.changed.wait()
        return self.calls[count - 1]

    async def close(self) -> None:
        await self.port.close()

    # ---- events

    def _handle(self, event: Event) -> None:
        match event:
            case InviteReceived():
                call = self._add(event.session, self._media())
                call.incoming = event.request
                call.handle(event)
                call.follow_script()
            case RequestReceived():
                self.requests.append(event)
                if self.on_request is not None:
                    self.on_request(event)
                else:
                    self.agent.respond(event.tx, 200, self.now(), headers=self.agent.capabilities)
            case ResponseReceived():
                waiting = self._waiting.get(event.request_id)
                if waiting is not None:
                    waiting.responses.append(event.response)
                    if event.response.status >= 200:
                        waiting.future.set_result(event.response)
                        del self._waiting[event.request_id]
            case RequestFailed():
                failed = self._waiting.pop(event.request_id, None)
                if failed is not None:
                    failed.future.set_exception(AssertionError(f"{self.user}: no answer ({event.cause})"))
            case _:
                context = getattr(getattr(event, "session", None), "context", None)
                if isinstance(context, Call):
                    context.handle(event)
        self.changed.set()

    def _add(self, session: Session, media: _Media) -> Call:
        call = Call(self, session, media)
        session.context = call
        self.calls.append(call)
        return call

    def _media(self) -> _Media:
        self._next_media_port += 2
        return _Media(self.port.address[0], self._next_media_port)

    def _uri(self, callee: str) -> Uri:
        return parse_uri(callee) if callee.startswith(("sip:", "tel:")) else SipUri("sip", self.domain, callee)
