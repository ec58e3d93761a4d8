"""The demo carrier: a second SIP server, in a process of its own, that a trunk registers at by digest.

Started by ``sent demo`` as ``python -m sent.app.demo.carrier PORT USER`` with the password on standard input; it ends
when its standard input does, so that it never outlives the demo.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Coroutine

from sent.app.demo.numbers import OWN, Behaviour, behaviour_of
from sent.kit.errors import SentError
from sent.media.engine import RustEngine
from sent.media.port import MediaEngine
from sent.pbx.announcements import WELCOME, find_announcements
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.digest import Challenge, find_credentials, verify
from sent.sip.digest import ha1 as digest_ha1
from sent.sip.events import InviteReceived, RequestReceived
from sent.sip.message import Request
from sent.sip.nonce import NonceBook, NonceCheck
from sent.sip.uri import SipUri
from sent.softphone.call import PhoneCall, PhoneState
from sent.softphone.phone import Account, Phone
from sent.transport.port import SipPort
from sent.transport.sip_transport import SipTransport

HOST = "127.0.0.1"
REALM = "demo-carrier"
_RTP_PORTS = (19_000, 19_199)
_RING_SECONDS = 1.5
_CALL_BACK_AFTER = 3.0
_LONGEST_CALL = 600.0
_BARRED = ("Reason", 'Q.850;cause=21;text="This number is barred by the demo carrier"')


class DemoCarrier:
    def __init__(self, transport: SipPort, engine: MediaEngine, user: str, password: str) -> None:
        self._transport = transport
        self._engine = engine
        self._user = user
        self._ha1 = digest_ha1(user, REALM, password)
        self._nonces = NonceBook(secrets.token_bytes(32))
        self._customer: SipUri | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._voice = Phone(
            transport,
            engine,
            Account(OWN, SipUri("sip", HOST)),
            HOST,
            answer=self._on_call,
            other=self._on_request,
        )

    def _refusal(self, request: Request) -> Challenge | None:
        """None when the customer proved who it is."""
        name = "authorization" if request.method == "REGISTER" else "proxy-authorization"
        credentials = find_credentials(request.headers.get_all(name), REALM)
        now = time.time()
        stale = False
        if credentials is not None and credentials.username == self._user:
            good = verify(credentials, method=request.method, ha1_hex=self._ha1, body=request.body)
            checked = self._nonces.check(credentials.nonce, credentials.nc, now)
            if good and checked is NonceCheck.OK:
                return None
            stale = good and checked is NonceCheck.STALE
        return Challenge(REALM, self._nonces.issue(now), stale=stale)

    def _on_request(self, event: RequestReceived) -> None:
        agent, now = self._transport.agent, self._transport.now()
        request = event.request
        if request.method != "REGISTER":
            agent.respond(event.tx, 200 if request.method == "OPTIONS" else 405, now)
            return
        challenge = self._refusal(request)
        if challenge is not None:
            agent.respond(event.tx, 401, now, headers=[("WWW-Authenticate", str(challenge))])
            return
        contact = request.contacts[0] if request.contacts else None
        expires = min(request.expires if request.expires is not None else 60, 60)
        gone = request.contact_is_star or not expires
        self._customer = None if gone or contact is None else contact.uri if isinstance(contact.uri, SipUri) else None
        headers = [] if self._customer is None else [("Contact", f"<{self._customer}>;expires={expires}")]
        agent.respond(event.tx, 200, now, headers=headers)

    def _on_call(self, call: PhoneCall, event: InviteReceived) -> None:
        challenge = self._refusal(event.request)
        if challenge is not None:
            call.refuse(407, headers=(("Proxy-Authenticate", str(challenge)),))
            return
        uri = event.request.uri
        number = uri.user or "" if isinstance(uri, SipUri) else ""
        match behaviour_of(number):
            case None:
                call.refuse(404)
            case Behaviour.BUSY:
                call.refuse(486)
            case Behaviour.BARRED:
                call.refuse(403, headers=(_BARRED,))
            case Behaviour.UNAVAILABLE:
                call.refuse(503)
            case behaviour:
                self._spawn(self._take(call, behaviour))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _take(self, call: PhoneCall, behaviour: Behaviour) -> None:
        call.ring()
        if await call.changed(PhoneState.RINGING, _RING_SECONDS) is PhoneState.OVER:
            return
        if behaviour is Behaviour.DECLINE:
            call.refuse(603)
        elif behaviour is not Behaviour.NO_ANSWER:
            call.accept()
            await self._talk(call, behaviour)

    async def _talk(self, call: PhoneCall, behaviour: Behaviour) -> None:
        if call.state is not PhoneState.TALKING:
            return
        seconds = _LONGEST_CALL
        try:
            if behaviour is Behaviour.ECHO:
                self._engine.bridge(call.media, call.media)
            else:
                seconds = 4.0
                self._engine.play_file(call.media, find_announcements()[WELCOME])
            await call.changed(PhoneState.TALKING, seconds)
        finally:
            call.hang_up()
        if behaviour is Behaviour.CALL_BACK:
            await asyncio.sleep(_CALL_BACK_AFTER)
            await self._call_customer()

    async def _call_customer(self) -> None:
        """A call in from outside, to whoever registered: echo, so that one hears oneself."""
        if self._customer is None:
            return
        account = Account("+12025550102", self._customer, Login(self._user, ""), "Demo carrier")
        call = await self._voice.call_from(account, OWN)
        state = call.state
        while state not in (PhoneState.TALKING, PhoneState.OVER):
            state = await call.changed(state, 60.0)
        if state is PhoneState.TALKING:
            self._engine.bridge(call.media, call.media)
            await call.changed(PhoneState.TALKING, _LONGEST_CALL)
        call.hang_up()

    async def close(self) -> None:
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._transport.close()


async def serve(port: int, user: str, password: str) -> None:
    """Until standard input ends."""
    engine = RustEngine(*_RTP_PORTS, threads=1)
    transport = SipTransport(Agent(AgentConfig(user_agent="SENT demo carrier"), lambda: secrets.token_hex(12)))
    try:
        await transport.listen_udp(HOST, port, "the demo carrier's port")
        await transport.listen_tcp(HOST, port, "the demo carrier's port")
        carrier = DemoCarrier(transport, engine, user, password)
        print("ready", flush=True)
        await asyncio.to_thread(sys.stdin.read)
        await carrier.close()
    finally:
        engine.shut_down()


def main() -> int:
    port, user = int(sys.argv[1]), sys.argv[2]
    password = sys.stdin.readline().strip()
    try:
        asyncio.run(serve(port, user, password))
    except SentError as error:
        print(f"demo carrier: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
