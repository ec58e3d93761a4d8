"""Calls to what SENT answers itself, and how the registry starts, limits, ends and drains calls. Virtual time."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sent.calls.commands import LocalCommands
from sent.calls.ending import EndCode, Ending
from sent.calls.limits import Limits
from sent.calls.plan import Echo, PlayFile, PlayTone
from sent.kit.errors import NotFound
from sent.kit.ids import uuid7
from sent.media.types import LegStatistics, ToneStep
from tests.scenarios.calls_world import ORGANIZATION, World, run

FILE = Path("/announcements/welcome.wav")


def announcing(ms=4_000):
    world = World()
    world.engine.files[FILE] = ms
    world.route("601", PlayFile(FILE))
    return world, world.caller()


def test_an_announcement_is_played_after_the_ack_and_ends_the_call():
    async def scenario():
        world, alice = announcing()
        call = world.start(alice, "601")
        await asyncio.sleep(0.01)
        assert alice.commands == ["answer"]
        assert world.engine.hears(alice.media) is None
        await asyncio.sleep(0.1)
        assert world.engine.hears(alice.media) == "file welcome.wav"
        record = await world.finished(call)
        assert (record.ending.code, record.ending.by) == (EndCode.COMPLETED, "system")
        assert record.ending.words == "The announcement welcome.wav was played to its end."
        assert (record.ended_at - record.answered_at).total_seconds() == pytest.approx(4.05)
        assert alice.endings[0].code is EndCode.COMPLETED

    run(scenario())


def test_a_caller_that_does_not_confirm_hears_it_all_the_same():
    async def scenario():
        world, alice = announcing()
        alice.confirms = False
        call = world.start(alice, "601")
        await asyncio.sleep(1)
        assert world.engine.hears(alice.media) == "file welcome.wav"
        alice.say("hangup")
        record = await world.finished(call)
        assert (record.ending.code, record.ending.by) == (EndCode.HUNG_UP, "caller")

    run(scenario())


def test_a_playback_that_stops_since_the_caller_left_is_a_hang_up():
    async def scenario():
        world, alice = announcing()
        call = world.start(alice, "601")
        await asyncio.sleep(1)
        world.engine.stop_playback(alice.media)
        alice.later(0.2, "hangup")
        assert (await world.finished(call)).ending.code is EndCode.HUNG_UP

    run(scenario())


def test_a_playback_that_just_stops_is_our_failure():
    async def scenario():
        world, alice = announcing()
        call = world.start(alice, "601")
        await asyncio.sleep(1)
        world.engine.stop_playback(alice.media)
        record = await world.finished(call)
        assert record.ending.code is EndCode.FAILED
        assert "cut off" in record.ending.words

    run(scenario())


def test_a_file_that_cannot_be_played_says_why():
    async def scenario():
        world, alice = announcing()
        world.engine.files.clear()
        record = await world.finished(world.start(alice, "601"))
        assert record.ending.code is EndCode.FAILED
        assert record.ending.words.startswith("The announcement welcome.wav could not be played: ")
        assert "No such file" in record.ending.words

    run(scenario())


def test_a_tone():
    async def scenario():
        world = World()
        world.route("602", PlayTone((ToneStep((425.0,), 500),)))
        alice = world.caller()
        call = world.start(alice, "602")
        await asyncio.sleep(0.3)
        assert world.engine.hears(alice.media) == "tone 425"
        assert (await world.finished(call)).ending.code is EndCode.COMPLETED

    run(scenario())


def test_echo_sends_the_callers_audio_back_until_its_time_is_over():
    async def scenario():
        world = World()
        world.route("600", Echo(seconds=120))
        alice = world.caller()
        call = world.start(alice, "600")
        await asyncio.sleep(1)
        assert world.engine.hears(alice.media) == f"leg {alice.media}"
        alice.say("renegotiated")
        await asyncio.sleep(1)
        assert len(world.engine.named("bridge")) == 2
        record = await world.finished(call)
        assert record.ending.code is EndCode.COMPLETED
        assert (record.ended_at - record.answered_at).total_seconds() == pytest.approx(120)

    run(scenario())


def test_an_echo_whose_caller_vanished_ends_with_that_reason():
    async def scenario():
        world = World()
        world.route("600", Echo())
        alice = world.caller()
        call = world.start(alice, "600")
        await asyncio.sleep(40)
        world.engine.fall_silent(alice.media, 5_000)
        world.engine.fall_silent(alice.media, 30_000)
        record = await world.finished(call)
        assert record.ending.code is EndCode.MEDIA_LOST
        assert len(record.flags) == 2

    run(scenario())


def test_a_caller_without_audio_cannot_hear_a_service():
    async def scenario():
        world = World()
        world.route("600", Echo())
        alice = world.caller()
        alice.media_at_start = False
        record = await world.finished(world.start(alice, "600"))
        assert record.ending.code is EndCode.FAILED
        assert "no audio" in record.ending.words

    run(scenario())


def test_a_bug_in_a_step_ends_the_call_with_words_and_leaks_nothing():
    async def scenario():
        world = World()
        world.engine.fail["bridge"] = ZeroDivisionError("bug")
        world.phone("Bob", "102", (1, "answer"))
        world.route("102", world.ring("102"), record=True)
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.FAILED
        assert "internal error" in record.ending.words
        assert all(leg.ended_at for leg in record.legs)

    run(scenario())


# -- registry -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "status", "words"),
    [
        (Limits(total=1), 503, "This server carries 1 calls"),
        (Limits(per_organization=1), 503, "Your organization has 1 calls up"),
        (Limits(per_user=1), 486, "You have 1 calls up"),
    ],
)
def test_limits_refuse_with_words_and_leave_a_record(limits, status, words):
    async def scenario():
        world = World(limits=limits)
        world.route("600", Echo())
        user = uuid7()
        first, second = world.caller(user_id=user), world.caller(user_id=user)
        up = world.start(first, "600")
        over = world.start(second, "600")
        await asyncio.sleep(1)
        record = world.records.final(over)
        assert (record.ending.code, record.ending.sip_status) == (EndCode.LIMIT_REACHED, status)
        assert record.ending.words.startswith(words)
        assert second.commands == ["end limit_reached"]
        first.say("hangup")
        await world.finished(up)
        third = world.caller(user_id=user)
        again = world.start(third, "600")
        await asyncio.sleep(1)
        assert third.commands == ["answer"], "what ended no longer counts"
        third.say("hangup")
        await world.finished(again)

    run(scenario())


def test_a_flood_beyond_the_limits_is_refused_without_records():
    async def scenario():
        world = World(limits=Limits(total=0))
        callers = [world.caller() for _ in range(300)]
        for caller in callers:
            world.start(caller, "600")
        await asyncio.sleep(10)
        assert all(caller.commands == ["end limit_reached"] for caller in callers)
        assert len({r.id for r in world.records.put_records}) == 200

    run(scenario())


def test_a_command_ends_a_call_of_its_organization_only():
    async def scenario():
        world = World()
        world.route("600", Echo())
        alice = world.caller()
        call = world.start(alice, "600")
        await asyncio.sleep(1)
        commands = LocalCommands(world.registry)
        with pytest.raises(NotFound):
            await commands.hang_up(call, uuid7(), "Mallory")
        await commands.hang_up(call, ORGANIZATION, "The administrator")
        record = await world.finished(call)
        assert record.ending == Ending(EndCode.HUNG_UP, "The administrator ended the call.", "system")
        with pytest.raises(NotFound):
            await commands.hang_up(call, ORGANIZATION, "The administrator")

    run(scenario())


def test_live_calls_and_their_changes_have_no_gap():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "ringing"), (3, "answer"), (9, "hangup"))
        world.route("102", world.ring("102"))
        call = world.start(world.caller())
        await asyncio.sleep(2)
        fetched = {snapshot.call_id: snapshot for snapshot in world.registry.live(ORGANIZATION)}
        since = world.registry.sequence(ORGANIZATION)
        assert fetched[call].state.value == "ringing"
        await asyncio.sleep(2)
        for change in world.snapshots:
            if change.sequence > since:
                fetched[change.call_id] = change
        now = world.registry.live(ORGANIZATION)[0]
        assert fetched[call] == now, "old state and changes give what a fresh list says"
        assert now.talking_to.name == "Bob"
        assert now.codec == "PCMA"
        assert world.registry.live(uuid7()) == []
        assert world.registry.get(call, uuid7()) is None
        await world.finished(call)
        sequences = [change.sequence for change in world.snapshots]
        assert sequences == list(range(1, len(sequences) + 1))
        assert world.snapshots[-1].ending.code is EndCode.HUNG_UP

    run(scenario())


def test_drain_lets_calls_end_by_themselves():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "answer"), (20, "hangup"))
        world.route("102", world.ring("102"))
        call = world.start(world.caller())
        await asyncio.sleep(2)
        draining = asyncio.create_task(world.registry.drain(60))
        await asyncio.sleep(1)
        late = world.caller()
        refused = world.start(late)
        assert await draining == 0
        assert world.records.final(call).ending.code is EndCode.HUNG_UP
        assert world.records.final(refused).ending.code is EndCode.SHUT_DOWN
        assert late.endings[0].sip_status == 503

    run(scenario())


def test_drain_ends_what_is_left_at_its_limit():
    async def scenario():
        world = World()
        stuck = world.phone("Bob", "102", (1, "answer"))
        stuck.silent_end = True
        world.route("102", world.ring("102"), record=True)
        world.recorder.seconds = 0.0
        call = world.start(world.caller())
        await asyncio.sleep(2)
        assert await world.registry.drain(10) == 1
        assert len(world.registry) == 0
        record = world.records.final(call)
        assert record.ending.code is EndCode.SHUT_DOWN
        assert world.recorder.finished == [(record.recording_id, None)]

    run(scenario())


def test_a_cancelled_call_task_still_cleans_up_and_writes_its_record():
    async def scenario():
        world = World()
        world.route("600", Echo())
        call = world.start(world.caller(), "600")
        await asyncio.sleep(1)
        next(t for t in asyncio.all_tasks() if t.get_name() == f"call {call}").cancel()
        record = await world.finished(call)
        assert record.ending.code is EndCode.SHUT_DOWN

    run(scenario())


def test_open_records_can_be_written_again():
    async def scenario():
        world = World()
        world.route("600", Echo())
        call = world.start(world.caller(), "600")
        await asyncio.sleep(1)
        before = world.records.put_records[-1].version
        world.registry.write_open_records()
        again = world.records.put_records[-1]
        assert (again.id, again.version, again.ending) == (call, before + 1, None)
        await world.registry.drain(0)

    run(scenario())


def test_a_watcher_or_a_ladder_that_fails_ends_no_call_and_loses_no_record():
    async def scenario():
        world = World()

        def broken(*_):
            raise RuntimeError("bug in a watcher")

        world.registry._watch = broken
        world.ladder.take = broken
        world.phone("Bob", "102", (1, "answer"), (5, "hangup"))
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.HUNG_UP
        assert record.ladder is None

    run(scenario())


def test_who_looks_sees_the_quality_of_now():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "answer"), (9, "hangup"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(2)
        assert world.registry.live(ORGANIZATION)[0].mos is None
        world.engine.legs[alice.media].statistics = LegStatistics(mos=4.3)
        world.engine.legs[bob.media].statistics = LegStatistics(mos=3.1)
        assert world.registry.live(ORGANIZATION)[0].mos == 3.1
        await world.finished(call)

    run(scenario())
