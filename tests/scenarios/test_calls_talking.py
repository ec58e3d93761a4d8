"""Whole calls on virtual time: what happens between the answer and the end."""

from __future__ import annotations

import asyncio

import pytest

from sent.calls.ending import EndCode, Ending
from sent.kit.errors import Unavailable
from sent.media.port import MediaError
from sent.media.types import LegStatistics
from tests.scenarios.calls_world import ORGANIZATION, World, run

HOLD_HEARD = "tone 392+588"


async def talking(world, *script, record=False, max_seconds=8 * 3600.0):
    """Alice and Bob talk since one second; ``script`` goes on for Bob, in seconds since it rang."""
    bob = world.phone("Bob", "102", (1, "answer"), *script)
    world.route("102", world.ring("102"), record=record, max_seconds=max_seconds)
    alice = world.caller()
    call = world.start(alice)
    await asyncio.sleep(2)
    return call, alice, bob


@pytest.mark.parametrize("by", ["caller", "callee"])
def test_either_side_hangs_up(by):
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        (alice if by == "caller" else bob).say("hangup")
        record = await world.finished(call)
        assert (record.ending.code, record.ending.by) == (EndCode.HUNG_UP, by)
        other = bob if by == "caller" else alice
        assert [e.code for e in other.endings] == [EndCode.HUNG_UP]
        assert record.ending.sip_status is None, "an answered call has no final refusal"

    run(scenario())


def test_hold_plays_music_to_the_held_side_and_resume_bridges_again():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        bob.say("hold")
        await asyncio.sleep(0.1)
        assert world.engine.hears(alice.media) == HOLD_HEARD
        assert world.engine.hears(bob.media) is None
        await asyncio.sleep(60)
        bob.say("resume")
        await asyncio.sleep(0.1)
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        assert world.engine.hears(bob.media) == f"leg {alice.media}"
        alice.say("hangup")
        record = await world.finished(call)
        kept = [entry.state.value for entry in record.states]
        assert kept == ["new", "routing", "connected", "held", "connected", "ended"]

    run(scenario())


def test_both_hold_and_each_resumes_in_its_own_time():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        heard = lambda: (world.engine.hears(alice.media), world.engine.hears(bob.media))  # noqa: E731
        alice.say("hold")
        await asyncio.sleep(0.1)
        assert heard() == (None, HOLD_HEARD)
        bob.say("hold")
        await asyncio.sleep(0.1)
        assert heard() == (None, None)
        alice.say("resume")
        await asyncio.sleep(0.1)
        assert heard() == (HOLD_HEARD, None)
        bob.say("resume")
        await asyncio.sleep(0.1)
        assert heard() == (f"leg {bob.media}", f"leg {alice.media}")
        alice.say("hangup")
        record = await world.finished(call)
        assert [e.state.value for e in record.states].count("held") == 1

    run(scenario())


def test_a_renegotiation_bridges_again_but_not_through_a_hold():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        before = len(world.engine.named("bridge"))
        bob.say("renegotiated")
        await asyncio.sleep(0.1)
        assert len(world.engine.named("bridge")) == before + 1
        bob.say("hold")
        bob.say("renegotiated")
        await asyncio.sleep(0.1)
        assert world.engine.hears(alice.media) == HOLD_HEARD
        bob.say("hangup")
        await world.finished(call)

    run(scenario())


def test_a_media_leg_that_opens_late_is_bridged_when_it_is_there():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "answer"))
        bob.media_at_start = False
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(2)
        assert world.engine.hears(alice.media) is None
        bob._media = world.engine.open_rtp("192.0.2.1")[0]
        bob.say("renegotiated")
        await asyncio.sleep(0.1)
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        bob.say("hangup")
        assert (await world.finished(call)).ending.code is EndCode.HUNG_UP

    run(scenario())


def test_media_that_is_elsewhere_makes_a_call_all_the_same():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "answer"), (5, "hangup"))
        bob.media_at_start = False
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.HUNG_UP
        assert record.legs[1].quality is None

    run(scenario())


def test_digits_are_counted_never_kept_and_only_signalled_ones_are_sent_on():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        for what in ("digit", "digit", "info-digit"):
            alice.say(what)
        await asyncio.sleep(0.1)
        assert [c for c in bob.commands if c.startswith("digits")] == ["digits 7"]
        bob.say("info-digit")
        await asyncio.sleep(0.1)
        assert [c for c in alice.commands if c.startswith("digits")] == ["digits 7"]
        bob.say("hangup")
        record = await world.finished(call)
        assert record.digits == 4
        assert [leg.digits for leg in record.legs] == [3, 1]

    run(scenario())


def test_a_flood_of_digits_costs_no_memory_and_not_the_call():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        for _ in range(10_000):
            alice.say("info-digit")
        bob.say("hangup")
        record = await world.finished(call)
        assert record.ending.code is EndCode.HUNG_UP
        assert len([c for c in bob.commands if c.startswith("digits")]) <= 256
        assert record.ignored_events >= 9_000

    run(scenario())


def test_one_silent_direction_is_flagged_with_what_was_sent_and_received():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        world.engine.legs[bob.media].statistics = LegStatistics(packets_sent=260, packets_received=0)
        await asyncio.sleep(5)
        world.engine.fall_silent(bob.media, 5_000)
        await asyncio.sleep(0.1)
        assert world.registry.live(ORGANIZATION)[0].flags
        alice.say("hangup")
        record = await world.finished(call)
        words = (
            "Nothing was heard from Bob for 5 s: 260 packets were sent to it and 0 received; "
            "a firewall or a wrong media address lies between."
        )
        assert record.flags == (words,)
        assert record.legs[1].flags == (words,)
        assert record.legs[0].flags == ()
        assert record.ending.code is EndCode.HUNG_UP

    run(scenario())


def test_silence_that_began_just_before_the_answer_is_flagged_all_the_same():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        # The media was configured a moment before the answer, so five seconds of it end a moment too early.
        await asyncio.sleep(3.99)
        world.engine.fall_silent(bob.media, 5_000)
        await asyncio.sleep(0.005)
        assert world.registry.live(ORGANIZATION)[0].flags == ()
        await asyncio.sleep(0.1)
        assert len(world.registry.live(ORGANIZATION)[0].flags) == 1
        alice.say("hangup")
        assert (await world.finished(call)).ending.code is EndCode.HUNG_UP

    run(scenario())


def test_silence_for_long_ends_the_call_with_that_reason():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        world.engine.legs[bob.media].statistics = LegStatistics(
            packets_sent=1500, packets_received=99, remote=("192.0.2.7", 4000)
        )
        await asyncio.sleep(40)
        world.engine.fall_silent(bob.media, 5_000)
        world.engine.fall_silent(bob.media, 30_000)
        record = await world.finished(call)
        assert record.ending.code is EndCode.MEDIA_LOST
        expected = "for 30 s: 1500 packets were sent to it and 99 received, from 192.0.2.7:4000."
        assert record.ending.words.endswith(expected)
        assert alice.endings[0].code is EndCode.MEDIA_LOST

    run(scenario())


def test_a_phone_on_hold_may_be_silent():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        bob.say("hold")
        await asyncio.sleep(40)
        world.engine.fall_silent(bob.media, 30_000)
        world.engine.fall_silent(alice.media, 30_000)
        await asyncio.sleep(100)
        bob.say("hangup")
        record = await world.finished(call)
        assert record.ending.code is EndCode.HUNG_UP
        assert record.flags == ()

    run(scenario())


@pytest.mark.parametrize("comes_back", [True, False])
def test_silence_that_began_on_hold_gets_its_whole_time_after_it(comes_back):
    async def scenario():
        world = World()
        call, _, bob = await talking(world)
        bob.say("hold")
        await asyncio.sleep(28)
        bob.say("resume")
        await asyncio.sleep(2)
        world.engine.fall_silent(bob.media, 30_000)
        await asyncio.sleep(20)
        assert world.registry.get(call, ORGANIZATION) is not None
        if comes_back:
            world.engine.resume(bob.media)
            await asyncio.sleep(60)
            bob.say("hangup")
        record = await world.finished(call)
        assert record.ending.code is (EndCode.HUNG_UP if comes_back else EndCode.MEDIA_LOST)

    run(scenario())


def test_the_longest_call_is_ended_with_words():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world, max_seconds=7200)
        record = await world.finished(call)
        assert record.ending.code is EndCode.LIMIT_REACHED
        assert "2 h" in record.ending.words
        assert (record.ended_at - record.answered_at).total_seconds() == pytest.approx(7200)
        assert alice.endings[0].code is EndCode.LIMIT_REACHED
        assert bob.endings[0].code is EndCode.LIMIT_REACHED

    run(scenario())


@pytest.mark.parametrize("code", [EndCode.SESSION_EXPIRED, EndCode.MEDIA_LOST, EndCode.FAILED, EndCode.CARRIER_REFUSED])
def test_an_established_leg_that_ends_for_another_reason(code):
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        bob.say(code.value)
        record = await world.finished(call)
        assert record.ending.code is code
        assert alice.endings[0].code is code

    run(scenario())


def test_statistics_of_both_legs_are_in_the_record_also_of_the_one_that_hung_up_first():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        world.engine.legs[alice.media].statistics = LegStatistics(
            packets_sent=100, packets_received=101, mos=4.4, r_factor=92.0
        )
        world.engine.legs[bob.media].statistics = LegStatistics(
            packets_sent=200, packets_received=201, jitter_ms=7.5, round_trip_ms=40.0, remote=("2001:db8::7", 4000)
        )
        bob.say("hangup")
        record = await world.finished(call)
        assert record.legs[0].quality.mos == 4.4
        assert record.legs[1].quality.packets_received == 201
        assert record.legs[1].quality.jitter_ms == 7.5
        assert record.legs[1].quality.remote == "[2001:db8::7]:4000"

    run(scenario())


def test_a_recording_has_the_caller_left_the_callee_right_and_is_finished():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world, (10, "hangup"), record=True)
        ticket = world.recorder.begun[0]
        started = world.engine.named("start_recording")
        assert started == [(ticket.file, ticket.id.bytes, alice.media, bob.media)]
        assert world.engine.keys == [ticket.key]
        assert world.registry.live(ORGANIZATION)[0].recording
        record = await world.finished(call)
        assert record.recording_id == ticket.id
        assert record.recording_error is None
        assert world.recorder.finished == [(ticket.id, None)]

    run(scenario())


def test_a_hold_in_a_recorded_call_records_once():
    async def scenario():
        world = World()
        call, _, bob = await talking(world, record=True)
        for what in ("hold", "resume", "renegotiated"):
            bob.say(what)
            await asyncio.sleep(1)
        bob.say("hangup")
        await world.finished(call)
        assert len(world.recorder.begun) == 1

    run(scenario())


def test_a_full_disk_flags_the_recording_and_the_call_goes_on():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world, record=True)
        handle = next(iter(world.engine.recordings))
        world.engine.fail_recording(handle)
        world.engine.fail_recording(handle)
        await asyncio.sleep(1)
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        assert not world.registry.live(ORGANIZATION)[0].recording
        bob.say("hangup")
        record = await world.finished(call)
        assert record.ending.code is EndCode.HUNG_UP
        assert record.recording_error == "The recording stopped early: No space left on device. It is kept up to there."
        assert record.recording_error in record.flags
        assert world.recorder.finished == [(record.recording_id, record.recording_error)]

    run(scenario())


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (Unavailable("db.unavailable", "The database does not answer."), "The database does not answer."),
        (OSError("bug"), "an internal error."),
    ],
)
def test_a_recorder_that_fails_does_not_end_the_call(error, words):
    async def scenario():
        world = World()
        world.recorder.fail = error
        call, _, _ = await talking(world, (9, "hangup"), record=True)
        record = await world.finished(call)
        assert record.ending.code is EndCode.HUNG_UP
        assert record.recording_id is None
        assert record.recording_error == f"The call was not recorded: {words}"

    run(scenario())


def test_a_recorder_that_hangs_or_an_engine_that_refuses_does_not_end_the_call():
    async def scenario():
        world = World()
        world.recorder.seconds = 60
        call, _, _ = await talking(world, (20, "hangup"), record=True)
        record = await world.finished(call)
        assert "in time" in record.recording_error
        world = World()
        world.engine.fail["start_recording"] = MediaError("media.bad_file", "The folder is gone.")
        call, _, _ = await talking(world, (20, "hangup"), record=True)
        record = await world.finished(call)
        assert record.recording_error == "The call was not recorded: The folder is gone."
        assert world.recorder.finished == [(record.recording_id, record.recording_error)], "its ticket is given back"

    run(scenario())


def test_a_call_that_ends_before_the_recorder_was_ready_gives_its_ticket_back():
    async def scenario():
        world = World()
        world.recorder.seconds = 3
        call, _, _ = await talking(world, (2, "hangup"), record=True)
        record = await world.finished(call)
        assert record.ending.code is EndCode.HUNG_UP
        assert world.engine.named("start_recording") == []
        ticket = world.recorder.begun[0]
        assert world.recorder.finished == [(ticket.id, record.recording_error)]
        assert "ended before" in record.recording_error

    run(scenario())


def test_an_organization_that_wants_no_recording_is_not_flagged():
    async def scenario():
        world = World()
        world.recorder.declines = True
        call, _, _ = await talking(world, (5, "hangup"), record=True)
        record = await world.finished(call)
        assert (record.recording_id, record.recording_error) == (None, None)

    run(scenario())


def test_an_engine_that_cannot_bridge_flags_the_call():
    async def scenario():
        world = World()
        world.engine.fail["bridge"] = MediaError("media.bad_settings", "No codec in common.")
        call, _, _ = await talking(world, (5, "hangup"))
        record = await world.finished(call)
        assert record.flags == ("The media engine could not bridge Bob: No codec in common.",)

    run(scenario())


def test_a_leg_that_never_confirms_its_end_does_not_keep_the_call():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        bob.silent_end = True
        alice.say("hangup")
        record = await world.finished(call)
        assert "did not confirm its end within 5 s" in record.legs[1].flags[0]
        assert record.legs[1].ended_at is not None

    run(scenario())


def test_a_leg_whose_end_raises_does_not_keep_the_others():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)

        def broken(ending):
            raise RuntimeError("bug in a leg")

        alice.end = broken
        world.registry.hang_up(call, ORGANIZATION, Ending(EndCode.HUNG_UP, "The API ended the call."))
        record = await world.finished(call)
        assert record.ending.words == "The API ended the call."
        assert bob.endings
        assert record.legs[0].ended_at is not None

    run(scenario())


def test_a_disk_that_is_slow_to_close_holds_up_neither_the_loop_nor_the_end_for_long():
    async def scenario():
        world = World()
        world.engine.disk_answers = False
        call, alice, _ = await talking(world, record=True)
        await asyncio.sleep(2)
        alice.say("hangup")
        record = await world.finished(call)
        assert record.recording_error == "The recording did not close: the disk did not answer in time."
        assert world.recorder.finished == [(record.recording_id, record.recording_error)]
        world.engine.check_released()

    run(scenario())


def test_a_recording_that_fails_while_it_is_closed_says_so():
    async def scenario():
        world = World()
        world.engine.disk_answers = False
        call, alice, _ = await talking(world, record=True)
        await asyncio.sleep(2)
        alice.say("hangup")
        await asyncio.sleep(0.5)
        (recording,) = world.engine.recordings
        world.engine.fail_recording(recording)
        record = await world.finished(call)
        assert record.recording_error == "The recording stopped early: No space left on device. It is kept up to there."
        assert world.recorder.finished == [(record.recording_id, record.recording_error)]

    run(scenario())
