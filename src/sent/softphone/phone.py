"""A SIP phone: registers, calls, is called. Its audio is whatever is bridged to a call's media leg."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from sent.kit.errors import Unavailable
from sent.media.port import MediaEngine
from sent.media.session import MediaSession
from sent.sdp.capabilities import Encryption
from sent.sip.authorization import Login
from sent.sip.events import (
    Event,
    InviteReceived,
    RequestFailed,
    RequestId,
    RequestReceived,
    ResponseReceived,
    SessionEvent,
    TargetsNeeded,
)
from sent.sip.flow import Target
from sent.sip.header_values import NameAddr
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri
from sent.softphone.call import PhoneCall
from sent.transport.port import SipPort

_REQUEST_SECONDS = 35.0
"""64*T1 (RFC 3261 §17.1.2.2) and a little."""


@dataclass(frozen=True, slots=True)
class Account:
    """``server`` is the registrar, with port and transport. The phone's address of record is ``user`` at its host."""

    user: str
    server: SipUri
    login: Login | None = None
    display_name: str = ""

    @property
    def address(self) -> SipUri:
        return SipUri("sip", self.server.host, user=self.user)


class Phone:
    """``media_address`` is the local address for RTP. ``answer`` decides about incoming calls: it gets the call and
    must soon `PhoneCall.accept` or `PhoneCall.refuse` it; without it they are refused as busy. Requests outside of
    calls go to ``other``, which must answer them, or are answered 405.
    """

    def __init__(
        self,
        port: SipPort,
        engine: MediaEngine,
        account: Account,
        media_address: str,
        *,
        encryption: Encryption = Encryption.NEVER,
        answer: Callable[[PhoneCall, InviteReceived], None] | None = None,
        other: Callable[[RequestReceived], None] | None = None,
    ) -> None:
        self._port = port
        self._engine = engine
        self._account = account
        self._media_address = media_address
        self._encryption = encryption
        self._answer = answer
        self._other = other
        self._waiting: dict[RequestId, asyncio.Future[Response]] = {}
        self._registration: tuple[str, int] | None = None
        port.listen(self._on_event)

    async def register(self, seconds: int = 300) -> Response:
        """REGISTER for ``seconds`` (0: unregister), digest included. Returns the final response, whatever it is.

        Raises `Unavailable` (``softphone.no_answer``).
        """
        targets = await self._port.resolve(self._account.server)
        call_id, cseq = self._registration or ("", 0)
        headers = Headers()
        address = str(NameAddr(self._account.address))
        headers.add("From", address)
        headers.add("To", address)
        if call_id:
            headers.add("Call-ID", call_id)
            headers.add("CSeq", f"{cseq + 1} REGISTER")
        headers.add("Contact", self._port.agent.contact_for(targets[0], self._account.user))
        headers.add("Expires", str(seconds))
        response = await self._request(Request("REGISTER", self._account.server, headers), targets)
        self._registration = (response.call_id, response.cseq.number)
        return response

    async def call(self, number: str) -> PhoneCall:
        """Call ``number`` at the account's server. Returns at once; the call reports its own progress."""
        return await self.call_from(self._account, number)

    async def call_from(self, account: Account, number: str) -> PhoneCall:
        """The same in another account's name."""
        server = account.server
        uri = SipUri(server.scheme, server.host, user=number, port=server.port, params=server.params)
        targets = await self._port.resolve(server)
        media = self._media(targets[0].address)
        session = self._port.agent.invite(
            uri,
            from_=NameAddr(account.address, account.display_name),
            targets=targets,
            now=self._port.now(),
            offer=media.offer(()),
            login=account.login,
        )
        call = PhoneCall(self._port, self._engine, session, media)
        session.context = call
        self._port.touch()
        return call

    def _media(self, peer: str) -> MediaSession:
        return MediaSession(self._engine, self._media_address, self._media_address, (peer,), self._encryption)

    async def _request(self, request: Request, targets: list[Target]) -> Response:
        request_id = self._port.agent.request(request, targets, self._port.now(), self._account.login)
        future: asyncio.Future[Response] = asyncio.get_running_loop().create_future()
        self._waiting[request_id] = future
        self._port.touch()
        try:
            async with asyncio.timeout(_REQUEST_SECONDS):
                return await future
        except TimeoutError:
            raise _no_answer(self._account.server) from None
        finally:
            del self._waiting[request_id]

    def _on_event(self, event: Event) -> None:
        match event:
            case InviteReceived(session=session, flow=flow):
                call = PhoneCall(self._port, self._engine, session, self._media(flow.remote[0]), event.offer)
                session.context = call
                if self._answer is None:
                    call.refuse(486)
                else:
                    self._answer(call, event)
            case RequestReceived(tx=tx):
                if self._other is not None:
                    self._other(event)
                else:
                    self._port.agent.respond(tx, 405, self._port.now())
            case ResponseReceived(request_id=request_id, response=response):
                waiting = self._waiting.get(request_id)
                if waiting is not None and response.status >= 200 and not waiting.done():
                    waiting.set_result(response)
            case RequestFailed(request_id=request_id):
                waiting = self._waiting.get(request_id)
                if waiting is not None and not waiting.done():
                    waiting.set_exception(_no_answer(self._account.server))
            case TargetsNeeded():
                pass
            case _:
                self._on_session_event(event)

    def _on_session_event(self, event: SessionEvent) -> None:
        call = event.session.context
        if isinstance(call, PhoneCall):
            call.on_event(event)


def _no_answer(server: SipUri) -> Unavailable:
    return Unavailable(
        "softphone.no_answer", f"{server.host}:{server.port or 5060} does not answer SIP. Is SENT running there?"
    )
