"""Hostile input through real sockets: the server stays up, small and quick, and says so in its metrics.

Everything hostile comes from 127.0.0.2 and its like; the phones of the good calls live on 127.0.0.1.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import socket
import ssl
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import ALICE_HZ, alice_and_bob, hear_each_other, voice
from tests.faults.records import ended_records
from tests.faults.serving import Server
from tests.interop.product import House

pytestmark = pytest.mark.faults

_VECTORS = Path(os.environ.get("SENT_VECTORS", Path(__file__).parents[3] / "shared" / "vectors"))
BAD_MESSAGES = 50_000
ROOM_OCTETS = 20 * 1024 * 1024
_SEED = 20261120

INVITE = (
    b"INVITE sip:102@127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bK%d;rport\r\n"
    b"From: <sip:mallory@127.0.0.1>;tag=%d\r\nTo: <sip:102@127.0.0.1>\r\nCall-ID: %d@evil\r\nCSeq: 1 INVITE\r\n"
    b"Max-Forwards: 70\r\nContact: <sip:mallory@127.0.0.2>\r\nContent-Type: application/sdp\r\n"
    b"Content-Length: %d\r\n\r\n%s"
)
SDP = b"v=0\r\no=- 1 1 IN IP4 127.0.0.2\r\ns=-\r\nc=IN IP4 127.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"


def torture() -> list[bytes]:
    """The messages of RFC 4475 and RFC 5118 where they are there, else our own."""
    found = [file.read_bytes() for file in sorted((_VECTORS / "sip").rglob("*")) if file.suffix in (".dat", ".sip")]
    return found or [INVITE % (1, 1, 1, len(SDP), SDP)]


def mutations(seed: int) -> Iterator[bytes]:
    """Messages without end, none of which is a good one for long."""
    chance = random.Random(seed)
    seeds = [*torture(), INVITE % (2, 2, 2, len(SDP), SDP)]
    number = 0
    while True:
        number += 1
        match chance.randrange(6):
            case 0:
                yield chance.randbytes(chance.randrange(1, 1400))
            case 1:
                yield INVITE % (number, number, number, chance.randrange(100_000), SDP[: chance.randrange(len(SDP))])
            case 2:
                whole = bytearray(chance.choice(seeds))
                for _ in range(chance.randrange(1, 12)):
                    whole[chance.randrange(len(whole))] = chance.randrange(256)
                yield bytes(whole)
            case 3:
                whole = bytearray(chance.choice(seeds))
                at = chance.randrange(len(whole))
                del whole[at : at + chance.randrange(1, 60)]
                yield bytes(whole)
            case 4:
                lines = chance.choice(seeds).split(b"\r\n")
                chance.shuffle(lines)
                yield b"\r\n".join(lines)
            case _:
                lines = chance.choice(seeds).split(b"\r\n")
                at = chance.randrange(len(lines))
                lines[at:at] = [lines[at]] * chance.randrange(1, 40)
                yield b"\r\n".join(lines)


@contextlib.contextmanager
def udp_from(address: str, server: Server) -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
        sender.bind((address, 0))
        sender.connect(("127.0.0.1", server.settings.sip_port))
        sender.setblocking(False)
        yield sender


async def send_all(sender: socket.socket, messages: Iterator[bytes], count: int, pace: int = 40) -> None:
    """``pace`` at a time, with a breath for everybody else in between; what comes back is thrown away."""
    for n in range(count):
        with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
            sender.send(next(messages)[:65_000])
        if n % pace == 0:
            with contextlib.suppress(BlockingIOError, ConnectionRefusedError):
                while True:
                    sender.recv(65_535)
            await asyncio.sleep(0)


async def flood(server: Server, messages: Iterator[bytes], addresses: range, *, len_each: int) -> None:
    """So few from each of many addresses that none is banned, as fast as the server reads them."""
    for n in addresses:
        with udp_from(f"127.{n // 60_000 + 1}.{n // 250 % 250}.{n % 250 + 1}", server) as sender:
            await send_all(sender, messages, len_each)
        if n % 4 == 0:
            while waiting_octets(server.settings.sip_port) > 50_000:  # noqa: ASYNC110  # the kernel tells nobody
                await asyncio.sleep(0.002)


def waiting_octets(port: int) -> int:
    """In the receive queue of the server's UDP socket."""
    wanted = f"0100007F:{port:04X}"
    for line in Path("/proc/net/udp").read_text().splitlines():
        if line.split()[1] == wanted:
            return int(line.split()[4].partition(":")[2], 16)
    return 0


def rss(server: Server) -> int:
    return int(psutil.Process(server.pid).memory_info().rss)


async def good_call(engine: RustEngine, house: House) -> None:
    async with alice_and_bob(engine, house) as (alice, bob):
        began = time.monotonic()
        talk = await alice.talk_to("102")
        assert time.monotonic() - began < 2
        await hear_each_other(talk, await bob.answered())
        talk.call.hang_up()
        await talk.over()


async def dropped(server: Server, name: str, beyond: float) -> float:
    """The counter, once it has grown beyond ``beyond``: it is sampled every few seconds."""
    value = 0.0
    for _ in range(70):
        value = (await asyncio.to_thread(server.metrics)).get(name, 0.0)
        if value > beyond:
            return value
        await asyncio.sleep(0.1)
    raise AssertionError(f"{name} is still {value}")


def no_trace(server: Server) -> None:
    log = server.log_text()
    assert "Traceback" not in log, log[log.index("Traceback") - 500 :][:3000]
    assert '"level": "error"' not in log


async def test_fifty_thousand_bad_messages_leave_it_as_it_was(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    await good_call(engine, house)
    before = await asyncio.to_thread(shared_server.metrics)
    messages = mutations(_SEED)
    # What is bounded fills up first; then the memory is measured.
    await flood(shared_server, messages, range(1_000), len_each=5)
    start = rss(shared_server)
    async with voice(engine, house, house.alice, ALICE_HZ) as alice:
        talk = await alice.talk_to("600")
        # From many addresses, so that bans do not spare the parser the work.
        await flood(shared_server, messages, range(1_000, 1_000 + BAD_MESSAGES // 25), len_each=25)
        assert talk.is_up
        talk.call.hang_up()
        await talk.over()
    # And from one, which is banned soon.
    with udp_from("127.0.1.1", shared_server) as sender:
        await send_all(sender, messages, 5_000)
    await good_call(engine, house)
    grown = rss(shared_server) - start
    assert grown < ROOM_OCTETS, f"{grown / 1e6:.1f} MB more"
    malformed = 'sent_sip_dropped_total{why="malformed"}'
    assert await dropped(shared_server, malformed, before.get(malformed, 0) + 0.6 * BAD_MESSAGES)
    assert await dropped(shared_server, 'sent_sip_dropped_total{why="banned"}', 1000)
    assert await dropped(shared_server, "sent_sip_bans_total", before.get("sent_sip_bans_total", 0))
    records = await ended_records(house, 3)
    assert {record.call.end_code for record in records} == {"hung_up"}
    no_trace(shared_server)


def register(n: int, user: str) -> bytes:
    return (
        f"REGISTER sip:127.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.2:5060;branch=z9hG4bKr{n};rport\r\n"
        f"From: <sip:{user}@127.0.0.1>;tag={n}\r\nTo: <sip:{user}@127.0.0.1>\r\nCall-ID: r{n}@evil\r\n"
        f"CSeq: 1 REGISTER\r\nMax-Forwards: 70\r\nContact: <sip:x@127.0.0.2>\r\nContent-Length: 0\r\n\r\n"
    ).encode()


async def test_a_register_flood_bans_its_address_and_no_other(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    with udp_from("127.0.0.2", shared_server) as sender:
        answers = 0
        for n in range(5_000):
            with contextlib.suppress(BlockingIOError):
                sender.send(register(n, house.alice.user if n % 2 else f"guess{n}"))
            if n % 20 == 0:
                await asyncio.sleep(0)
            with contextlib.suppress(BlockingIOError):
                while sender.recv(65_535):
                    answers += 1
        assert 0 < answers < 500, "the flood was answered all the way"
        sender.send(register(999_999, house.alice.user))
        await asyncio.sleep(0.3)
        with contextlib.suppress(BlockingIOError):
            while b"r999999@evil" not in sender.recv(65_535):
                pass
            raise AssertionError("a banned address was answered")
    # The same phone from another address, as new as can be.
    async with voice(engine, house, house.alice, ALICE_HZ, host="127.0.0.3"):
        pass
    await good_call(engine, house)
    no_trace(shared_server)


def _connect(server: Server, address: str, port_offset: int = 0) -> socket.socket:
    connection = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    connection.settimeout(5)
    connection.bind((address, 0))
    connection.connect(("127.0.0.1", server.settings.sip_port + port_offset))
    return connection


async def test_a_thousand_idle_connections_and_trickling_ones_harm_nobody(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    before = await asyncio.to_thread(shared_server.metrics)
    head = INVITE % (7, 7, 7, len(SDP), SDP)
    with contextlib.ExitStack() as open_ones:
        trickling: list[socket.socket] = []
        for n in range(1_000):
            connection = open_ones.enter_context(_connect(shared_server, f"127.0.2.{n // 150 + 1}"))
            connection.setblocking(False)
            if n % 10 == 0:
                trickling.append(connection)
        # More than its share from one address is refused.
        greedy = [open_ones.enter_context(_connect(shared_server, "127.0.2.200")) for _ in range(250)]
        for at in range(40):
            for connection in trickling:
                with contextlib.suppress(OSError):
                    connection.send(head[at : at + 1])
            await asyncio.sleep(0.01)
        await good_call(engine, house)
        closed = 0
        for connection in greedy:
            connection.setblocking(False)
            with contextlib.suppress(BlockingIOError, ConnectionResetError):
                closed += connection.recv(1) == b""
        refused = 'sent_sip_dropped_total{why="connection_refused"}'
        assert await dropped(shared_server, refused, before.get(refused, 0) + 40)
    await good_call(engine, house)
    no_trace(shared_server)


async def test_rubbish_over_tcp_and_tls_closes_the_connection_and_nothing_else(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    chance, messages = random.Random(_SEED), mutations(_SEED + 1)
    for n in range(300):
        address = f"127.0.3.{n % 100 + 1}"
        with contextlib.suppress(OSError), _connect(shared_server, address, n % 2) as connection:
            data = chance.randbytes(600) if n % 3 == 0 else b"".join(next(messages) for _ in range(4))
            connection.sendall(data[: chance.randrange(1, len(data))])
            if n % 5 == 0:
                connection.shutdown(socket.SHUT_WR)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    for n in range(40):
        raw = _connect(shared_server, f"127.0.4.{n % 20 + 1}", 1)
        with contextlib.suppress(OSError), context.wrap_socket(raw) as connection:
            connection.sendall(next(messages) + chance.randbytes(300))
        raw.close()
    await good_call(engine, house)
    no_trace(shared_server)


@pytest.mark.parametrize("transport", ["udp", "tcp"])
async def test_a_header_of_64_kb_is_refused(shared_server: Server, transport: str) -> None:
    head, _, rest = (INVITE % (64, 64, 64, 0, b"")).partition(b"Max-Forwards")
    size = 60_000 if transport == "udp" else 70_000
    message = head + b"Subject: " + b"x" * size + b"\r\nMax-Forwards" + rest
    if transport == "udp":
        with udp_from("127.0.5.1", shared_server) as sender:
            sender.send(message)
            await asyncio.sleep(0.3)
            answer = sender.recv(65_535)
    else:
        with _connect(shared_server, "127.0.5.2") as connection:
            with contextlib.suppress(ConnectionError):
                connection.sendall(message)
            answer = await asyncio.to_thread(connection.recv, 65_535)
    status = answer.split(b" ")[1] if answer else b""
    assert status in (b"400", b"413", b"513", b""), answer[:200]
    assert status or transport == "tcp"
    no_trace(shared_server)
