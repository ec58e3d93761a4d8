"""What scanners, broken phones and attackers send: answered as the RFC says or not at all, and forgotten."""

from __future__ import annotations

import asyncio
import gc
import random
import tracemalloc

import pytest

from sent.gateway.flood import FloodLimits
from sent.sip.events import Accepted, Confirmed, OfferAnswered, OfferRefused
from sent.testing.phone import Call, WirePhone
from tests.scenarios.gateway_world import SERVER, World, play
from tests.scenarios.test_gateway_calls import talking, two_phones

ATTACKER = ("203.0.113.9", 5060)
OPEN = FloodLimits(burst=1e9)
"""No bans: everything reaches the parser."""


def invite(n: int, *, sent_from: str = ATTACKER[0]) -> str:
    return (
        f"INVITE sip:102@sent.test SIP/2.0\r\nVia: SIP/2.0/UDP {sent_from};branch=z9hG4bK{n};rport\r\n"
        f"From: <sip:x@sent.test>;tag={n}\r\nTo: <sip:102@sent.test>\r\nCall-ID: h{n}@x\r\nCSeq: 1 INVITE\r\n"
        f"Max-Forwards: 70\r\nContact: <sip:x@{sent_from}>\r\nContent-Length: 0\r\n\r\n"
    )


def broken(n: int, chance: random.Random) -> bytes:
    """An INVITE with one of a dozen things wrong with it."""
    text = invite(n)
    lines = text.split("\r\n")
    kinds = [
        lambda: text.replace("CSeq: 1 INVITE", "CSeq: 1 BYE"),
        lambda: text.replace("CSeq: 1", "CSeq: 99999999999999999999"),
        lambda: text.replace("SIP/2.0\r\n", "SIP/7.0\r\n", 1),
        lambda: text.replace("INVITE sip:102@sent.test", "INVITE  sip:102@sent.test"),
        lambda: text.replace("sip:102@sent.test", "sip:%zz@[::1", 1),
        lambda: text.replace("Content-Length: 0", "Content-Length: 99999"),
        lambda: text.replace("Content-Length: 0", "Content-Length: -1"),
        lambda: text.replace("Max-Forwards: 70", "Max-Forwards: many"),
        lambda: text.replace("From: <sip:x@sent.test>", 'From: "unclosed <sip:x@sent.test>'),
        lambda: "\r\n".join(
            line for line in lines if not line.startswith(chance.choice(["Via", "To", "Call-ID", "F"]))
        ),
        lambda: text.replace("Contact: <sip", "Contact: <tel:abc>,<sip"),
        lambda: text[: chance.randrange(1, len(text))],
        lambda: text.replace("INVITE", "INVITE\x00"),
        lambda: text.replace("102", "\ud83d".encode("utf-8", "surrogatepass").decode("latin-1")),
        lambda: text.replace("\r\n\r\n", "\r\nContent-Type: application/sdp\r\n\r\nv=0\r\nm=audio"),
        lambda: text.replace("Max-Forwards", "Authorization: Digest nonsense\r\nMax-Forwards"),
        lambda: text.replace(
            "Max-Forwards", 'Authorization: Digest username="a", realm="sent", nonce="x"\r\nMax-Forwards'
        ),
        lambda: text.replace("Max-Forwards", "Require: magic\r\nMax-Forwards"),
    ]
    mangled = kinds[n % len(kinds)]()
    return mangled.encode("latin-1", "replace")


def test_thousands_of_malformed_invites_leave_no_memory_and_no_call():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        chance = random.Random(7)
        world.wire.packets.clear()
        sizes = []
        for round_ in range(4):
            for n in range(600):
                world.wire.carry(ATTACKER, SERVER, broken(round_ * 600 + n, chance))
                if n % 100 == 0:
                    await asyncio.sleep(0.02)
            await asyncio.sleep(100)
            world.wire.packets.clear()
            gc.collect()
            sizes.append(tracemalloc.get_traced_memory()[0])
        assert sizes[3] - sizes[1] < 200_000
        assert world.records.records == {}
        assert not world.agent.sessions
        assert len(world.agent.layer.servers) < 20
        call = alice.call("102")
        await call.wait(Accepted)
        call.hang_up()
        await world.settle()
        world.check_released()

    tracemalloc.start()
    try:
        play(scenario, flood=OPEN)
    finally:
        tracemalloc.stop()


def test_rubbish_bans_its_sender_and_nobody_else():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        chance = random.Random(7)
        for n in range(2_000):
            world.wire.carry(ATTACKER, SERVER, broken(n, chance))
            await asyncio.sleep(0.001)
        assert world.flood.counters["malformed"] > 10
        assert world.flood.counters["dropped"] > 1_500
        await alice.call("102").wait(Accepted)

    play(scenario)


def test_a_header_of_64_kilobytes_is_refused_or_dropped():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        for n, size in enumerate((9_000, 60_000, 65_000, 70_000, 200_000)):
            big = invite(n).replace("Max-Forwards", f"X-Big: {'a' * size}\r\nMax-Forwards")
            world.wire.carry(ATTACKER, SERVER, big.encode())
            folded = invite(100 + n).replace("Max-Forwards", "X-Many: a\r\n" * (size // 12) + "Max-Forwards")
            world.wire.carry(ATTACKER, SERVER, folded.encode())
        await asyncio.sleep(5)
        answers = [p.start_line for p in world.wire.packets if p.destination == ATTACKER]
        assert answers
        assert all(line.startswith(("SIP/2.0 4", "SIP/2.0 5")) for line in answers)
        assert world.records.records == {}
        await alice.call("102").wait(Accepted)

    play(scenario)


def test_a_scanner_is_banned_after_a_few_messages():
    async def scenario(world: World) -> None:
        for n in range(50):
            text = invite(n).replace("Max-Forwards", "User-Agent: friendly-scanner\r\nMax-Forwards")
            world.wire.carry(ATTACKER, SERVER, text.encode())
            await asyncio.sleep(0.1)
        assert world.flood.counters["bans"] >= 1
        assert world.flood.counters["dropped"] > 40

    play(scenario)


def test_all_repetitions_that_a_client_may_send_count_once_and_a_flood_of_them_does_not():
    async def scenario(world: World) -> None:
        for _ in range(11):
            world.wire.carry(ATTACKER, SERVER, invite(1).encode())
            await asyncio.sleep(3)
        assert world.flood.counters["unauthenticated"] == 1
        assert len(world.wire.start_lines(source=SERVER)) == 11
        for _ in range(1_000):
            world.wire.carry(ATTACKER, SERVER, invite(1).encode())
            await asyncio.sleep(0.01)
        assert world.flood.counters["bans"] >= 1
        assert world.flood.counters["dropped"] > 500

    play(scenario)


def test_nothing_is_kept_of_what_is_challenged():
    async def scenario(world: World) -> None:
        for n in range(1, 300):
            world.wire.carry(ATTACKER, SERVER, invite(n).encode())
            register = (
                invite(n).replace("INVITE", "REGISTER").replace("sip:102@", "sip:x@").replace("z9hG4bK", "z9hG4bKr")
            )
            world.wire.carry(ATTACKER, SERVER, register.encode())
        await asyncio.sleep(0.1)
        sent = world.wire.start_lines(source=SERVER)
        assert sent.count("SIP/2.0 407 Proxy Authentication Required") == 299
        assert sent.count("SIP/2.0 401 Unauthorized") == 299
        assert len(world.agent.layer) == 0
        assert not world.agent.sessions
        # The ACK to such a 407 meets nothing, and vanishes.
        world.wire.carry(ATTACKER, SERVER, invite(1).replace("INVITE", "ACK").encode())
        await asyncio.sleep(60)
        assert len(world.wire.start_lines(source=SERVER)) == 598
        assert world.agent.counters["malformed"] == 0

    play(scenario, flood=OPEN)


def test_names_with_control_characters_are_answered_like_any_other():
    async def scenario(world: World) -> None:
        odd = "a%00%0d%0aX%3a%1b%5b2J"
        for n, method in enumerate(("REGISTER", "INVITE")):
            text = invite(n).replace("INVITE", method)
            for name in (odd, "%80%ff", "%ed%a0%80"):
                for mangled in (
                    text.replace("<sip:x@sent", f"<sip:{name}@sent"),
                    text.replace("sip:102@", f"sip:{name}@"),
                ):
                    serial = f"{n}{len(world.wire.packets)}"
                    unique = mangled.replace("hG4bK", f"hG4bK{serial}").replace("Call-ID: h", f"Call-ID: h{serial}")
                    world.wire.carry(ATTACKER, SERVER, unique.encode())
        await asyncio.sleep(0.2)  # before anything is repeated
        sent = world.wire.start_lines(source=SERVER)
        assert len(sent) == 12
        assert {line.split()[1] for line in sent} <= {"401", "404", "407"}
        assert all("\n" not in p.data.decode().replace("\r\n", "") for p in world.wire.packets if p.source == SERVER)

    play(scenario, flood=OPEN)


def test_a_digest_for_a_user_with_control_characters_is_a_wrong_password():
    async def scenario(world: World) -> None:
        for n, name in enumerate(('a\\"b', "\u202eabc", "a" * 5000)):
            digest = f'Digest username="{name}", realm="sent", nonce="n", uri="sip:x@y", response="{"0" * 32}"'
            text = invite(n).replace("INVITE", "REGISTER").replace("Max-F", f"Authorization: {digest}\r\nMax-F")
            world.wire.carry(ATTACKER, SERVER, text.encode())
        await asyncio.sleep(1)
        assert world.wire.start_lines(source=SERVER) == ["SIP/2.0 401 Unauthorized"] * 3

    play(scenario, flood=OPEN)


def test_a_line_end_pings_are_answered_over_udp_too():
    async def scenario(world: World) -> None:
        world.wire.carry(ATTACKER, SERVER, b"\r\n\r\n")
        world.wire.carry(ATTACKER, SERVER, b"\r\n")
        world.wire.carry(ATTACKER, SERVER, b"\0\0\0\0")
        await asyncio.sleep(1)
        assert [p.data for p in world.wire.packets if p.source == SERVER] == [b"\r\n"]
        assert world.flood.counters["malformed"] == 0

    play(scenario)


def test_every_method_with_nothing_else_to_it_is_survived():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        methods = [
            "ACK",
            "BYE",
            "CANCEL",
            "INFO",
            "PRACK",
            "UPDATE",
            "REFER",
            "MESSAGE",
            "NOTIFY",
            "PUBLISH",
            "X",
            "REGISTER",
        ]
        for n, method in enumerate(methods):
            world.wire.carry(ATTACKER, SERVER, invite(n).replace("INVITE", method).encode())
            tagged = (
                invite(50 + n).replace("INVITE", method).replace("To: <sip:102@sent.test>", "To: <sip:102@s>;tag=t")
            )
            world.wire.carry(ATTACKER, SERVER, tagged.encode())
        await asyncio.sleep(40)
        answered = {p.start_line.split()[1] for p in world.wire.packets if p.destination == ATTACKER}
        assert {"481", "405", "501"} <= answered
        assert answered <= {"401", "403", "404", "405", "407", "481", "489", "501"}
        await alice.call("102").wait(Accepted)

    play(scenario)


@pytest.mark.parametrize(
    ("header", "status"),
    [('Allow: "x', 200), ("Supported: <", 200), ("Contact: <sip:[", 400), ("Session-Expires: x", 400)],
)
def test_a_re_invite_that_cannot_be_read_is_answered_at_once_and_harms_no_call(header: str, status: int):
    async def scenario(world: World) -> None:
        call, _ = await talking(world)
        mangle(world, call, "INVITE", header)
        call.hold()
        await call.wait(OfferAnswered if status == 200 else OfferRefused, timeout=5)
        await asyncio.sleep(5)
        assert call.last is None
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


@pytest.mark.parametrize("header", ['Allow: "x', "Supported: <", "Session-Expires: x", "Warning: x"])
def test_an_answer_that_cannot_be_read_in_full_is_an_answer(header: str):
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        mangle(world, bob, "SIP/2.0 200", header)
        call = alice.call("102")
        await call.wait(Accepted, timeout=5)
        await bob.calls[0].wait(Confirmed, timeout=5)
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def mangle(world: World, sender: Call | WirePhone, start: str, header: str) -> None:
    """From now on this phone's messages that begin with ``start`` have ``header`` in place of their own."""
    phone = sender.phone if isinstance(sender, Call) else sender
    carry, name = world.wire.carry, header.partition(":")[0]

    def carried(source: tuple[str, int], destination: tuple[str, int], data: bytes) -> None:
        if source == phone.port.address and data.startswith(start.encode()):
            lines = [line for line in data.decode().split("\r\n") if not line.startswith(f"{name}:")]
            data = "\r\n".join([*lines[:1], header, *lines[1:]]).encode()
        carry(source, destination, data)

    world.wire.carry = carried  # type: ignore[method-assign]
