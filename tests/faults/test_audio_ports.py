"""Packets at the ports of a call's audio from those who have no part in it."""

from __future__ import annotations

import asyncio
import random
import socket
import struct

import pytest

from sent.media.engine import RustEngine
from tests.faults.audio_sockets import audio_ports
from tests.faults.phones import alice_and_bob, hear_each_other
from tests.faults.records import ended_records
from tests.faults.serving import Server
from tests.interop.product import House

pytestmark = pytest.mark.faults

STRANGER_HZ = 2_000.0


async def test_a_stranger_is_not_heard_and_is_counted(shared_server: Server, house: House, engine: RustEngine) -> None:
    async with alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        bob_talk = await bob.answered()
        await asyncio.sleep(0.5)
        ports = audio_ports(shared_server)
        assert len(ports) == 4

        async def shout() -> int:
            """A louder tone of its own in PCMU, from another address and from another port of the same one."""
            sent = 0
            with (
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far,
                socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as near,
            ):
                far.bind(("127.0.0.9", 0))
                near.bind(("127.0.0.1", 0))
                loud = bytes(range(0x80, 0x90)) * 10
                for n in range(150):
                    packet = struct.pack("!BBHII", 0x80, 0, n, n * 160, 0xBAD) + loud
                    for port in ports:
                        for sender in (far, near):
                            sender.sendto(packet, ("127.0.0.1", port))
                            sent += 1
                    await asyncio.sleep(0.02)
            return sent

        shouting = asyncio.create_task(shout())
        await hear_each_other(talk, bob_talk, 3.0)
        assert await shouting
        assert talk.heard.lacks(STRANGER_HZ)
        talk.call.hang_up()
        await talk.over()
    (record,) = await ended_records(house, 1)
    for leg in record.legs:
        assert leg.quality is not None
        assert leg.quality["packets_lost"] < 10
        assert leg.quality["remote"].startswith("127.0.0.1:")


async def test_packets_before_the_first_good_one_take_nothing_over(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    """The latch is open until a phone's first packet: a stranger's must not close it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as far:
        far.bind(("127.0.0.9", 0))

        async def spray() -> None:
            n = 0
            while True:
                n += 1
                packet = struct.pack("!BBHII", 0x80, n % 2 * 111, n & 0xFFFF, n * 160, 0xBAD) + b"\x80" * 160
                for port in audio_ports(shared_server):
                    far.sendto(packet, ("127.0.0.1", port))
                await asyncio.sleep(0.002)

        spraying = asyncio.create_task(spray())
        async with alice_and_bob(engine, house) as (alice, bob):
            talk = await alice.talk_to("102")
            await hear_each_other(talk, await bob.answered())
            talk.call.hang_up()
            await talk.over()
        spraying.cancel()
    (record,) = await ended_records(house, 1)
    assert sum(leg.quality["strangers"] for leg in record.legs if leg.quality is not None) > 0


async def test_rubbish_at_the_audio_ports_harms_nothing(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    chance = random.Random(4)
    async with alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        bob_talk = await bob.answered()
        ports = audio_ports(shared_server)

        async def pour() -> None:
            with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sender:
                sender.setblocking(False)
                for n in range(6_000):
                    size = chance.choice((0, 1, 2, 3, 8, 11, 12, 13, 20, 28, 172, 1_400))
                    data = bytearray(chance.randbytes(size))
                    if n % 2 and size > 1:
                        data[0] = 0x80 | chance.randrange(64)
                        data[1] = chance.choice((0, 8, 96, 101, 111, 128, 200, 201, 202, 203, 204, 205, 206))
                    try:
                        sender.sendto(data, ("127.0.0.1", chance.choice(ports)))
                    except BlockingIOError:
                        await asyncio.sleep(0.01)
                    if n % 30 == 0:
                        await asyncio.sleep(0.01)

        pouring = asyncio.create_task(pour())
        await hear_each_other(talk, bob_talk, 3.0)
        await pouring
        talk.call.hang_up()
        await talk.over()
    (record,) = await ended_records(house, 1)
    assert record.call.end_code == "hung_up"
    log = shared_server.log_text()
    assert "panic" not in log
    assert "Traceback" not in log
