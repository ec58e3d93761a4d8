"""RFC 4733 digits: heard from a phone, sent to one, and through a bridge."""

from __future__ import annotations

import asyncio

import pytest

from sent.media.port import MediaEngine
from sent.media.types import Codec, Digit, MediaEvent
from sent.testing.audio import listen, tone
from sent.testing.rtp_peer import Connect, converse

pytestmark = pytest.mark.engine


async def test_digits_of_a_phone_are_reported_once_each(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    events: list[MediaEvent] = []
    engine.listen(events.append)
    engine.bridge(a, b)
    for digit in "1#99A":
        alice.press(digit, 120)
    await asyncio.to_thread(converse, 0.5, alice, bob)
    assert events == [Digit(a, digit, 120) for digit in "1#99A"]


def test_digits_pass_a_bridge(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect(8)
    engine.bridge(a, b)
    alice.play(tone(440, 2000))
    converse(0.3, alice, bob)
    alice.press("5", 160)
    converse(0.8, alice, bob)
    assert [digit for digit, _ in bob.digits] == ["5"]
    assert bob.digits[0][1] >= 100 * 8
    assert listen(bob.heard()[:2000]).is_tone(440, -13), "the voice before it"
    assert listen(bob.heard()[-4000:]).is_tone(440, -13), "the voice after it"


def test_digits_are_sent_with_their_length_and_gap(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    engine.send_digits(a, "4*0", duration_ms=100, gap_ms=60)
    converse(0.8, silent=(alice,))
    assert alice.digits == [("4", 800), ("*", 800), ("0", 800)]
    events = [packet for packet in alice.received if packet.payload_type == 101]
    starts = [packet for packet in events if packet.marker]
    assert len(starts) == 3, "the marker opens each event (RFC 4733 §2.5.1.1)"
    assert len({packet.timestamp for packet in events}) == 3
    assert {p.timestamp for p in events} == {p.timestamp for p in starts}
    for start in starts:
        ends = [p for p in events if p.timestamp == start.timestamp and p.payload[1] & 0x80]
        assert len(ends) == 3, "the end is sent three times (RFC 4733 §2.5.1.4)"


async def test_a_digit_without_marker_or_first_packets_still_counts(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    events: list[MediaEvent] = []
    engine.listen(events.append)
    assert alice.remote is not None
    end = bytes.fromhex("80650010000000a000000001") + bytes.fromhex("078a0320")
    for _ in range(3):
        alice.socket.sendto(end, alice.remote)
    await asyncio.sleep(0.1)
    assert events == [Digit(a, "7", 100)]


async def test_events_at_8_khz_beside_opus_have_the_right_length(engine: MediaEngine, connect: Connect) -> None:
    opus = Codec(111, "opus", 48_000, 2)
    (alice, a), (bob, b) = connect(receive=(opus,), send=opus), connect()
    events: list[MediaEvent] = []
    engine.listen(events.append)
    engine.bridge(a, b)
    alice.press("5", 120)
    await asyncio.to_thread(converse, 0.5, alice, bob)
    assert events == [Digit(a, "5", 120)]
    assert bob.digits == [("5", 960)]
    engine.send_digits(a, "7", duration_ms=200)
    await asyncio.to_thread(converse, 0.5, silent=(alice, bob))
    assert alice.digits == [("7", 1_600)]
