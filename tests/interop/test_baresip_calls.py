"""Two real phones talk through SENT: every transport, plain and encrypted audio, relayed and transcoded; hold; digits;
the numbers that SENT answers itself; two phones of one person."""

from __future__ import annotations

import asyncio
import re
from pathlib import Path

import pytest

from sent.pbx.announcements import ASSETS, WELCOME
from tests.interop import needs
from tests.interop.baresip import ALICE_HZ, BOB_HZ, OPUS, PCMU, SECURE, Kind, alice_and_bob, baresip
from tests.interop.product import House
from tests.interop.tones import read_wav

pytestmark = [pytest.mark.interop, needs.BARESIP]

TALK_S = 3.0
HOLD_HZ = (392.0, 493.88, 587.33, 659.25)
"""The notes of `sent.calls.tones.HOLD`."""


@pytest.mark.parametrize(
    ("alice_kind", "bob_kind"),
    [
        pytest.param(Kind("udp"), Kind("udp"), id="udp"),
        pytest.param(Kind("tcp"), Kind("tcp"), id="tcp"),
        pytest.param(SECURE, SECURE, id="tls-srtp"),
        pytest.param(SECURE, Kind("udp"), id="tls-srtp-calls-udp"),
        pytest.param(Kind("udp"), SECURE, id="udp-calls-tls-srtp"),
        pytest.param(Kind(codec=OPUS), Kind(), id="opus-calls-pcmu"),
        pytest.param(Kind(), Kind(codec=OPUS), id="pcmu-calls-opus"),
        pytest.param(Kind(codec=OPUS), Kind(codec=OPUS), id="opus"),
    ],
)
async def test_two_phones_hear_each_other(house: House, tmp_path: Path, alice_kind: Kind, bob_kind: Kind) -> None:
    async with alice_and_bob(tmp_path, house, alice_kind, bob_kind) as (alice, bob):
        await alice.call("102")
        await asyncio.sleep(TALK_S)
        await alice.hang_up()
        await asyncio.gather(alice.wait_for("CALL_CLOSED"), bob.wait_for("CALL_CLOSED"))
        record = await house.record()

    for phone, other_hz, own_hz in ((alice, BOB_HZ, ALICE_HZ), (bob, ALICE_HZ, BOB_HZ)):
        sound = phone.heard()
        assert sound.seconds > TALK_S - 0.5
        assert sound.hears(other_hz), f"{phone.folder.name}: {sound.decibels(other_hz):.1f} dB"
        assert sound.lacks(own_hz), f"{phone.folder.name} hears itself: {sound.decibels(own_hz):.1f} dB"

    assert (record.call.end_code, record.call.end_by) == ("hung_up", "caller")
    assert record.call.end_words == "Alice hung up."
    assert (record.call.disposition, record.call.direction) == ("answered", "internal")
    caller, callee = record.legs
    transcoded = alice_kind.codec != bob_kind.codec
    for leg, kind in ((caller, alice_kind), (callee, bob_kind)):
        assert leg.transport.lower() == kind.transport
        assert (leg.codec or "").upper() == kind.codec_name
        assert leg.extra["srtp"] == ("sdes" if kind.media_encryption else "none")
        assert "baresip" in leg.user_agent
        assert leg.quality is not None
        assert leg.quality["transcoded"] is transcoded
        assert leg.quality["packets_received"] > 100
        assert leg.quality["loss_received_percent"] < 2
        assert leg.quality["mos"] > 4
    assert record.ladder is not None
    assert record.call.flags == []


@pytest.mark.parametrize("kind", [pytest.param(Kind(), id="udp"), pytest.param(SECURE, id="tls-srtp")])
async def test_who_is_held_hears_the_hold_tone_and_nothing_else(house: House, tmp_path: Path, kind: Kind) -> None:
    async with alice_and_bob(tmp_path, house, kind, kind) as (alice, bob):
        await alice.call("102")
        await asyncio.sleep(2)
        await alice.hold()
        await asyncio.sleep(3)
        await alice.resume()
        await asyncio.sleep(2)
        await bob.hang_up()
        await asyncio.gather(alice.wait_for("CALL_CLOSED"), bob.wait_for("CALL_CLOSED"))
        record = await house.record()

    told = bob.heard().timeline(alice=(ALICE_HZ,), bob=(BOB_HZ,), hold=HOLD_HZ)
    assert re.fullmatch(r"-{0,5}a{15,}-{0,4}(h+-{0,3}){3,}[h-]{0,30}a{12,}-{0,5}", told), told
    assert alice.heard().lacks(ALICE_HZ)
    assert "h" not in alice.heard().timeline(bob=(BOB_HZ,), hold=HOLD_HZ)
    assert [state["state"] for state in record.call.states].count("held") == 1
    assert (record.call.end_words, record.call.flags) == ("Bob hung up.", [])


@pytest.mark.parametrize("codec", [pytest.param(PCMU, id="relayed"), pytest.param(OPUS, id="transcoded")])
async def test_digits_arrive_both_ways(house: House, tmp_path: Path, codec: str) -> None:
    async with alice_and_bob(tmp_path, house, Kind(codec=codec)) as (alice, bob):
        await alice.call("102")
        await asyncio.sleep(0.5)
        await alice.press("15#")
        await bob.press("9*")
        await bob.wait_for("CALL_DTMF_END", count=3)
        await alice.wait_for("CALL_DTMF_END", count=2)
        await alice.hang_up()
        await bob.wait_for("CALL_CLOSED")
        record = await house.record()

    def pressed(events: list[dict[str, object]]) -> str:
        return "".join(str(event["param"]) for event in events if event.get("type") == "CALL_DTMF_START")

    assert (pressed(bob.events), pressed(alice.events)) == ("15#", "9*")
    assert [leg.digits for leg in record.legs] == [3, 2]


async def test_the_echo_test_gives_back_what_it_hears(house: House, tmp_path: Path) -> None:
    async with baresip(tmp_path / "alice", house.product, house.alice, tone_hz=ALICE_HZ) as alice:
        await alice.call("600")
        await asyncio.sleep(TALK_S)
        await alice.hang_up()
        await alice.wait_for("CALL_CLOSED")
        record = await house.record()
    assert alice.heard().hears(ALICE_HZ)
    assert (record.call.end_code, record.call.disposition) == ("hung_up", "answered")


async def test_an_announcement_is_heard_to_its_end_and_hung_up_by_the_server(house: House, tmp_path: Path) -> None:
    (shipped,) = read_wav(ASSETS / f"{WELCOME}.wav")
    own_hz = 2500.0
    async with baresip(tmp_path / "alice", house.product, house.alice, tone_hz=own_hz) as alice:
        await alice.call("601")
        await alice.wait_for("CALL_CLOSED", seconds=shipped.seconds + 5)
        record = await house.record()
    heard = alice.heard()
    assert abs(heard.seconds - shipped.seconds) < 0.6
    assert heard.lacks(own_hz)
    for note in (523.25, 659.25, 783.99, 880.0):
        loudest = max(shipped.amplitudes(note))
        assert max(heard.amplitudes(note)) == pytest.approx(loudest, rel=0.3)
    assert (record.call.end_code, record.call.end_by) == ("completed", "system")


async def test_of_two_phones_the_first_that_answers_wins(house: House, tmp_path: Path) -> None:
    async with (
        baresip(tmp_path / "sofa", house.product, house.bob_second, answer="manual") as sofa,
        alice_and_bob(tmp_path, house) as (alice, desk),
    ):
        await alice.dial("102")
        await asyncio.gather(alice.wait_for("CALL_ESTABLISHED"), sofa.wait_for("CALL_CLOSED"))
        await asyncio.sleep(TALK_S)
        await desk.hang_up()
        await alice.wait_for("CALL_CLOSED")
        record = await house.record()
    assert alice.heard().hears(BOB_HZ)
    assert sofa.count("CALL_ESTABLISHED") == 0
    assert {leg.end_code for leg in record.legs[1:]} == {"hung_up", "answered_elsewhere"}
    assert record.call.end_words == "Bob hung up."
