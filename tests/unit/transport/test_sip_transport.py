"""Real sockets on loopback: UDP, TCP, TLS, limits, and what happens when a socket fails."""

from __future__ import annotations

import asyncio
import datetime
import secrets
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TypeVar

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from sent.kit.errors import Unavailable
from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.sip.events import (
    Accepted,
    Confirmed,
    Ended,
    Event,
    InviteReceived,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from sent.sip.flow import Flow, Target
from sent.sip.header_values import parse_name_addr
from sent.sip.message import Request
from sent.sip.uri import SipUri, parse_uri
from sent.transport.addresses import LocalAddresses, route_to
from sent.transport.resolver import Resolver
from sent.transport.settings import TransportSettings, server_tls_context
from sent.transport.sip_transport import SipTransport

SDP = b"v=0\r\n"

E = TypeVar("E", bound=Event)


class End:
    """A transport with its events, and a way to wait for one."""

    def __init__(self, transport: SipTransport) -> None:
        self.transport = transport
        self.agent = transport.agent
        self.events: list[Event] = []
        self.on_event: Callable[[Event], None] | None = None
        self._changed = asyncio.Event()
        transport.listen(self._sink)

    def _sink(self, event: Event) -> None:
        self.events.append(event)
        if self.on_event is not None:
            self.on_event(event)
        self._changed.set()

    async def wait(self, kind: type[E]) -> E:
        async with asyncio.timeout(5):
            while True:
                for event in self.events:
                    if isinstance(event, kind):
                        return event
                self._changed.clear()
                await self._changed.wait()


@asynccontextmanager
async def ends(count: int = 2, settings: TransportSettings | None = None) -> AsyncIterator[list[End]]:
    made = [
        End(SipTransport(Agent(AgentConfig(t1=0.1), lambda: secrets.token_hex(12)), settings)) for _ in range(count)
    ]
    try:
        yield made
    finally:
        for end in made:
            await end.transport.close()


async def until(condition: Callable[[], bool]) -> None:
    """Sockets tell nobody when they have been served; look until they are."""
    async with asyncio.timeout(5):
        while not condition():  # noqa: ASYNC110 - see above
            await asyncio.sleep(0.01)


def sip(text: str) -> SipUri:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return uri


async def call_and_hang_up(alice: End, bob: End, uri: str) -> None:
    def answer(event: Event) -> None:
        if isinstance(event, InviteReceived):
            event.session.answer(bob.transport.now(), SDP)

    bob.on_event = answer
    target = sip(uri)
    targets = await alice.transport.resolve(target)
    session = alice.agent.invite(
        target, from_=parse_name_addr("<sip:a@x.test>"), targets=targets, now=alice.transport.now(), offer=SDP
    )
    alice.transport.touch()
    await alice.wait(Accepted)
    await bob.wait(Confirmed)
    session.bye(alice.transport.now())
    alice.transport.touch()
    assert (await bob.wait(Ended)).by_remote


async def test_a_call_over_udp() -> None:
    async with ends() as (alice, bob):
        await alice.transport.listen_udp("127.0.0.1", 0)
        port = await bob.transport.listen_udp("127.0.0.1", 0)
        await call_and_hang_up(alice, bob, f"sip:b@127.0.0.1:{port}")


async def test_a_call_over_udp_on_ipv6_and_a_wildcard() -> None:
    async with ends() as (alice, bob):
        try:
            await alice.transport.listen_udp("::", 0)
            port = await bob.transport.listen_udp("::1", 0)
        except Unavailable:
            pytest.skip("no IPv6 here")
        await call_and_hang_up(alice, bob, f"sip:b@[::1]:{port}")


async def test_a_call_over_tcp_uses_one_connection_both_ways() -> None:
    async with ends() as (alice, bob):
        await alice.transport.listen_tcp("127.0.0.1", 0)
        port = await bob.transport.listen_tcp("127.0.0.1", 0)
        await call_and_hang_up(alice, bob, f"sip:b@127.0.0.1:{port};transport=tcp")
        assert len(alice.transport.connections) == len(bob.transport.connections) == 1


def make_certificate(folder: Path, name: str) -> tuple[str, str]:
    key = ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(subject)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / f"{name}.pem", folder / f"{name}.key"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(cert_file), str(key_file)


async def test_a_call_over_tls_checks_the_name(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "b.test")
    trusting = ssl.create_default_context(cafile=certificate)
    async with ends(2, TransportSettings(client_tls=trusting)) as (alice, bob):
        port = await bob.transport.listen_tls("127.0.0.1", 0, server_tls_context(certificate, key))

        async def lookup(name: str, kind: str) -> tuple[list[str], float]:
            return (["127.0.0.1"] if kind == "A" else []), 60.0

        alice.transport.resolver = Resolver(alice.transport.now, lookup)
        await call_and_hang_up(alice, bob, f"sip:b@b.test:{port};transport=tls")
        flow = alice.transport.connections[0]
        assert flow.transport == "TLS"

        wrong = sip(f"sip:b@other.test:{port};transport=tls")
        alice.agent.request(Request("OPTIONS", wrong), await alice.transport.resolve(wrong), alice.transport.now())
        alice.transport.touch()
        assert (await alice.wait(RequestFailed)).cause == "transport"


async def test_two_names_at_one_address_are_checked_each_for_itself(tmp_path: Path) -> None:
    """Both requests are sent while no connection is up: the second may not slip through the first one's."""
    certificate, key = make_certificate(tmp_path, "b.test")
    trusting = ssl.create_default_context(cafile=certificate)
    async with ends(2, TransportSettings(client_tls=trusting)) as (alice, bob):
        port = await bob.transport.listen_tls("127.0.0.1", 0, server_tls_context(certificate, key))

        def answer(event: Event) -> None:
            if isinstance(event, RequestReceived):
                bob.agent.respond(event.tx, 200, bob.transport.now())

        bob.on_event = answer

        async def lookup(name: str, kind: str) -> tuple[list[str], float]:
            return (["127.0.0.1"] if kind == "A" else []), 60.0

        alice.transport.resolver = Resolver(alice.transport.now, lookup)
        wrong_targets = []
        for name in ("b.test", "other.test"):
            uri = sip(f"sip:x@{name}:{port};transport=tls")
            wrong_targets = await alice.transport.resolve(uri)
            alice.agent.request(Request("OPTIONS", uri), wrong_targets, alice.transport.now())
        alice.transport.touch()
        failed = await alice.wait(RequestFailed)
        answered = await alice.wait(ResponseReceived)
        assert (answered.request_id, answered.response.status, failed.request_id) == (1, 200, 2)
        assert [str(e.request.uri) for e in bob.events if isinstance(e, RequestReceived)] == [
            f"sip:x@b.test:{port};transport=tls"
        ]
        why = alice.transport.why_failed(wrong_targets[0])
        assert why.startswith("its TLS certificate was refused: Hostname mismatch")
        assert "other.test" in why


async def test_why_nothing_connected_is_known_in_words(tmp_path: Path) -> None:
    certificate, key = make_certificate(tmp_path, "b.test")
    async with ends(2) as (alice, bob):
        tls = await bob.transport.listen_tls("127.0.0.1", 0, server_tls_context(certificate, key))
        tcp = await bob.transport.listen_tcp("127.0.0.1", 0)
        target = Target("TLS", "127.0.0.1", tls, ("127.0.0.1", 5061), "b.test")
        plain = Target("TLS", "127.0.0.1", tcp, ("127.0.0.1", 5061), "b.test")
        closed = Target("TCP", "127.0.0.1", 1, ("127.0.0.1", 5060))
        alice.transport.settings = TransportSettings(handshake_timeout=0.3, connect_timeout=0.3)
        for each in (target, plain, closed):
            alice.agent.request(Request("OPTIONS", sip("sip:x@b.test")), [each], alice.transport.now())
        alice.transport.touch()
        await until(lambda: sum(isinstance(e, RequestFailed) for e in alice.events) == 3)
        assert alice.transport.why_failed(target) == "its TLS certificate was refused: self-signed certificate"
        assert alice.transport.why_failed(plain) == "no connection came about in time"
        assert alice.transport.why_failed(closed) == "connection refused"


async def test_a_taken_port_is_named_with_its_setting() -> None:
    async with ends() as (one, two):
        udp = await one.transport.listen_udp("127.0.0.1", 0)
        with pytest.raises(Unavailable) as raised:
            await two.transport.listen_udp("127.0.0.1", udp, "SENT_SIP_UDP")
        assert raised.value.code == "transport.port_taken"
        assert str(udp) in raised.value.message
        assert "SENT_SIP_UDP" in raised.value.message
        tcp = await one.transport.listen_tcp("127.0.0.1", 0)
        with pytest.raises(Unavailable, match=str(tcp)):
            await two.transport.listen_tcp("127.0.0.1", tcp)


async def test_a_refused_connection_goes_to_the_next_target() -> None:
    async with ends() as (alice, bob):
        port = await bob.transport.listen_tcp("127.0.0.1", 0)
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            nobody = closed.getsockname()[1]
        local = ("127.0.0.1", 5060)
        targets = [Target("TCP", "127.0.0.1", nobody, local), Target("TCP", "127.0.0.1", port, local)]
        bob.on_event = lambda event: (
            bob.agent.respond(event.tx, 200, bob.transport.now()) and None
            if isinstance(event, RequestReceived)
            else None
        )
        alice.agent.request(Request("OPTIONS", sip("sip:b@x.test")), targets, alice.transport.now())
        alice.transport.touch()
        assert (await alice.wait(ResponseReceived)).response.status == 200
        assert alice.agent.counters["failovers"] == 1


async def test_keep_alive_is_answered_and_lost_framing_closes() -> None:
    async with ends(1) as (bob,):
        port = await bob.transport.listen_tcp("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"\r\n\r\n")
        async with asyncio.timeout(5):
            assert await reader.readexactly(2) == b"\r\n"
            writer.write(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
            assert await reader.read() == b"", "closed"
        writer.close()
        await writer.wait_closed()


async def test_connections_are_bounded_per_address() -> None:
    async with ends(1, TransportSettings(max_connections_per_address=2)) as (bob,):
        port = await bob.transport.listen_tcp("127.0.0.1", 0)
        opened = [await asyncio.open_connection("127.0.0.1", port) for _ in range(4)]
        await until(lambda: not (bob.agent.counters["connections_refused"] < 2))
        assert len(bob.transport.connections) == 2
        for _, writer in opened:
            writer.close()
        await until(lambda: not (bob.transport.connections))
        assert bob.agent.streams == {}


async def test_a_connection_that_says_nothing_is_closed() -> None:
    async with ends(1, TransportSettings(first_message_timeout=0.05)) as (bob,):
        port = await bob.transport.listen_tcp("127.0.0.1", 0)
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        async with asyncio.timeout(5):
            assert await reader.read() == b""
        writer.close()
        assert bob.agent.counters["connections_idle"] == 1


async def test_a_reader_that_never_reads_does_not_fill_our_memory() -> None:
    async with ends(1, TransportSettings(max_write_buffer=100_000)) as (bob,):
        port = await bob.transport.listen_tcp("127.0.0.1", 0)
        with socket.create_connection(("127.0.0.1", port)) as stuck:
            stuck.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
            stuck.sendall(b"\r\n\r\n")
            await until(lambda: bool(bob.agent.streams))
            (flow,) = bob.transport.connections
            connection = bob.transport._by_flow[flow]
            for _ in range(200):
                if not connection.write(b"x" * 50_000):
                    break
            assert bob.agent.counters["connections_stuck"] == 1
            await until(lambda: not (bob.transport.connections))


async def test_the_drop_hook_is_asked_before_parsing() -> None:
    async with ends(1) as (bob,):
        udp = await bob.transport.listen_udp("127.0.0.1", 0)
        tcp = await bob.transport.listen_tcp("127.0.0.1", 0)
        asked: list[Flow] = []
        bob.transport.drop = lambda flow: asked.append(flow) or True  # type: ignore[func-returns-value]
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
            sender.sendto(b"INVITE sip:x SIP/2.0\r\n\r\n", ("127.0.0.1", udp))
        reader, writer = await asyncio.open_connection("127.0.0.1", tcp)
        async with asyncio.timeout(5):
            with suppress(ConnectionResetError):
                assert await reader.read() == b""
            await until(lambda: len(asked) == 2)
        writer.close()
        assert {flow.transport for flow in asked} == {"UDP", "TCP"}
        assert bob.agent.counters["malformed"] == 0


async def test_an_error_in_the_sink_does_not_stop_the_others() -> None:
    async with ends() as (alice, bob):
        await alice.transport.listen_udp("127.0.0.1", 0)
        port = await bob.transport.listen_udp("127.0.0.1", 0)
        reported: list[str] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: reported.append(context["message"]))

        def fail_once(event: Event) -> None:
            if isinstance(event, RequestReceived):
                if not reported:
                    raise ZeroDivisionError
                bob.agent.respond(event.tx, 200, bob.transport.now())

        bob.on_event = fail_once
        uri = sip(f"sip:b@127.0.0.1:{port}")
        for _ in range(2):
            alice.agent.request(Request("OPTIONS", uri), await alice.transport.resolve(uri), alice.transport.now())
        alice.transport.touch()
        assert (await alice.wait(ResponseReceived)).response.status == 200
        assert reported == ["RequestReceived could not be handled"]


def test_our_address_towards_a_peer_is_cached() -> None:
    assert route_to("127.0.0.1") == "127.0.0.1"
    addresses = LocalAddresses(lifetime=60)
    assert addresses.towards("127.0.0.1", 0.0) == "127.0.0.1"
    addresses._cache["127.0.0.1"] = (60.0, "192.0.2.1")
    assert addresses.towards("127.0.0.1", 59.0) == "192.0.2.1"
    assert addresses.towards("127.0.0.1", 61.0) == "127.0.0.1"
