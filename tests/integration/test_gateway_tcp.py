"""The gateway on real sockets: a phone behind NAT is reached by its own connection, and is gone when that closes."""

from __future__ import annotations

import asyncio
import secrets

from tests.scenarios.gateway_world import World

from sent.identity.models import DeviceCredential
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.events import Accepted, Ended, Event, InviteReceived, ResponseReceived
from sent.sip.flow import Target
from sent.sip.header_values import NameAddr
from sent.sip.headers import Headers
from sent.sip.message import Request
from sent.sip.uri import SipUri
from sent.transport.sip_transport import SipTransport

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
    b"m=audio 20000 RTP/AVP 8\r\na=rtpmap:8 PCMA/8000\r\n"
)


class TcpPhone:
    """Answers what comes; ``seen`` are its events."""

    def __init__(self, user: str, server_port: int) -> None:
        self.user = user
        self.agent = Agent(AgentConfig(methods=frozenset()), secrets.token_hex)
        self.port = SipTransport(self.agent)
        self.server = Target("TCP", "127.0.0.1", server_port, ("127.0.0.1", 5060))
        self.seen: asyncio.Queue[Event] = asyncio.Queue()
        self.port.listen(self._handle)

    def _handle(self, event: Event) -> None:
        self.seen.put_nowait(event)
        if isinstance(event, InviteReceived):
            event.session.answer(self.port.now(), SDP)
            self.port.touch()

    async def wait(self, kind: type[Event]) -> Event:
        async with asyncio.timeout(5):
            while not isinstance(event := await self.seen.get(), kind):
                pass
            return event

    async def register(self) -> int:
        own = f"<sip:{self.user}@sent.test>"
        headers = [("From", own), ("To", own), ("Contact", f"<sip:{self.user}@10.66.66.66:5060;transport=tcp>")]
        request = Request("REGISTER", SipUri("sip", "sent.test"), Headers(headers))
        self.agent.request(request, [self.server], self.port.now(), Login(self.user, "secret"))
        self.port.touch()
        answer = await self.wait(ResponseReceived)
        assert isinstance(answer, ResponseReceived)
        return answer.response.status

    def call(self, callee: str) -> None:
        self.agent.invite(
            SipUri("sip", "sent.test", callee),
            from_=NameAddr(SipUri("sip", "sent.test", self.user)),
            targets=[self.server],
            now=self.port.now(),
            offer=SDP,
            login=Login(self.user, "secret"),
        )
        self.port.touch()


async def test_a_flood_over_a_connection_that_is_open_already_is_refused_without_asking_who_it_is():
    transports: list[SipTransport] = []
    world = World(attach=lambda agent: transports.append(SipTransport(agent)) or transports[0])
    port = await transports[0].listen_tcp("127.0.0.1", 0)
    world.device("alice", "101")
    asked: list[str] = []
    find = world.credentials.find

    async def counted(name: str) -> DeviceCredential | None:
        asked.append(name)
        return await find(name)

    world.credentials.find = counted
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    for n in range(300):
        writer.write(
            f"REGISTER sip:sent.test SIP/2.0\r\nVia: SIP/2.0/TCP 127.0.0.1;branch=z9hG4bK{n}\r\n"
            f"From: <sip:alice@sent.test>;tag={n}\r\nTo: <sip:alice@sent.test>\r\nCall-ID: f{n}\r\n"
            "CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContent-Length: 0\r\n\r\n".encode()
        )
        await writer.drain()
    statuses = []
    async with asyncio.timeout(5):
        while len(statuses) < 300:
            line = await reader.readline()
            if line.startswith(b"SIP/2.0"):
                statuses.append(int(line.split()[1]))
    writer.close()
    await writer.wait_closed()
    await world.close()
    assert set(statuses) == {401, 503}
    assert len(asked) < 100


async def test_a_phone_behind_nat_is_called_over_its_own_connection_and_gone_with_it():
    transports: list[SipTransport] = []
    world = World(attach=lambda agent: transports.append(SipTransport(agent)) or transports[0])
    port = await transports[0].listen_tcp("127.0.0.1", 0)
    world.device("alice", "101")
    world.device("bob", "102")
    alice, bob = TcpPhone("alice", port), TcpPhone("bob", port)
    assert [await alice.register(), await bob.register()] == [200, 200]
    alice.call("102")
    await alice.wait(Accepted)
    for session in list(alice.agent.sessions.values()):
        session.bye(alice.port.now())
    alice.port.touch()
    await bob.wait(Ended)
    bob_id = world.credentials.devices["bob"].user_id
    assert len(world.registrations.of_user(bob_id)) == 1
    gone = asyncio.Event()
    world.registrations.listen(lambda change: gone.set() if not change.online else None)
    await bob.port.close()
    async with asyncio.timeout(5):
        await gone.wait()
    assert world.registrations.of_user(bob_id) == []
    await alice.port.close()
    await world.close()
    world.engine.check_released()
