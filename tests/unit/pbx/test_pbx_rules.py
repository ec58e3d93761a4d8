from __future__ import annotations

import wave
from pathlib import Path
from uuid import UUID

import pytest

from sent.calls.ending import Blame, EndCode
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Echo, PlayFile, Refuse, Ring, UserTarget
from sent.pbx.announcements import WELCOME, find_announcements
from sent.pbx.models import Extension, ExtensionKind, PbxSettings, RoutingSnapshot
from sent.pbx.rules import RING_SECONDS, not_found, plan_for

ALICE = Party(PartyKind.USER, "101", "Alice", user_id=UUID(int=1), device_id=UUID(int=11))
OUTSIDE = Party(PartyKind.OUTSIDE, "+4930123456", trunk_id=UUID(int=3))
WAV = Path("/a/welcome.wav")
EXTENSIONS = {
    e.number: e
    for e in (
        Extension(UUID(int=21), "101", ExtensionKind.USER, "Alice", UUID(int=1)),
        Extension(UUID(int=22), "102", ExtensionKind.USER, "Bob", UUID(int=2)),
        Extension(UUID(int=23), "600", ExtensionKind.ECHO),
        Extension(UUID(int=24), "601", ExtensionKind.ANNOUNCEMENT, "Welcome", announcement="welcome"),
        Extension(UUID(int=25), "602", ExtensionKind.ANNOUNCEMENT, announcement="gone"),
    )
}
ROUTING = RoutingSnapshot(EXTENSIONS)


def plan(dialed, caller=ALICE, settings=None):
    routing = RoutingSnapshot(EXTENSIONS, settings) if settings else ROUTING
    return plan_for(dialed, routing, caller, {"welcome": WAV})


def test_a_users_extension_rings_all_its_devices_for_half_a_minute():
    made = plan("102")
    bob = Party(PartyKind.USER, "102", "Bob", user_id=UUID(int=2))
    assert made.steps == (Ring((UserTarget(bob, UUID(int=2)),), RING_SECONDS),)
    assert (made.direction, made.callee, made.record) == (Direction.INTERNAL, bob, False)
    assert RING_SECONDS == 30


@pytest.mark.parametrize(
    ("settings", "caller", "record"),
    [
        (PbxSettings(), ALICE, False),
        (PbxSettings(record_internal=True), ALICE, True),
        (PbxSettings(record_internal=True), OUTSIDE, False),
        (PbxSettings(record_outside=True), OUTSIDE, True),
        (PbxSettings(record_outside=True), ALICE, False),
    ],
)
def test_what_is_recorded_follows_from_the_setting_and_who_calls(settings, caller, record):
    made = plan("102", caller, settings)
    assert made.record is record
    assert made.direction is (Direction.INBOUND if caller is OUTSIDE else Direction.INTERNAL)


def test_calling_oneself_is_busy_with_words():
    (step,) = plan("101").steps
    assert isinstance(step, Refuse)
    assert (step.ending.code, step.ending.sip_status, step.ending.blame) == (EndCode.BUSY, 486, Blame.CALLER)
    assert "your own number 101" in step.ending.words


def test_echo_and_announcement():
    assert plan("600").steps == (Echo(),)
    assert plan("600").callee == Party(PartyKind.SERVICE, "600", "Echo test")
    assert plan("601").steps == (PlayFile(WAV),)
    assert plan("601").callee.name == "Welcome"
    assert plan("601", settings=PbxSettings(record_internal=True)).record is False


def test_an_announcement_without_its_file_says_so():
    (step,) = plan("602").steps
    assert (step.ending.code, step.ending.blame) == (EndCode.FAILED, Blame.US)
    assert "gone" in step.ending.words


@pytest.mark.parametrize("dialed", ["103", "", "1", "1010", "+49101", "101 ", "１０１", "*97", "a" * 1000])
def test_what_is_no_inside_number_is_left_to_the_next_dialplan(dialed):
    assert plan(dialed) is None


def test_the_end_of_the_chain_refuses_with_404_and_words():
    (step,) = not_found("999").steps
    assert (step.ending.code, step.ending.sip_status) == (EndCode.NOT_FOUND, 404)
    assert "999" in step.ending.words


def test_the_announcement_that_ships_is_a_small_telephone_wav_that_sounds():
    file = find_announcements()[WELCOME]
    assert file.stat().st_size < 200_000
    with wave.open(str(file)) as sound:
        assert (sound.getframerate(), sound.getnchannels(), sound.getsampwidth()) == (8000, 1, 2)
        frames = memoryview(sound.readframes(sound.getnframes())).cast("h")
    assert 3 < len(frames) / 8000 < 10
    assert 8_000 < max(frames) < 32_767, "loud enough, and never clipped"
    assert abs(frames[0]) < 100, "no click at the start"
    assert abs(frames[-1]) < 100, "nor at the end"


def test_the_administrators_files_come_first_and_odd_names_are_left_out(tmp_path):
    for name in ("welcome.wav", "closed-today.wav", "No Spaces.wav", "..wav", "notes.txt"):
        (tmp_path / name).write_bytes(b"")
    found = find_announcements(tmp_path)
    assert found["welcome"] == tmp_path / "welcome.wav"
    assert set(found) == {"welcome", "closed-today"}
    assert find_announcements(tmp_path / "absent").keys() == {"welcome"}
