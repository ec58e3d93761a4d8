"""What crosses, fails half-way or comes in the same turn of the loop: no call without its record, nothing leaked."""

import asyncio
from dataclasses import replace
from datetime import timedelta

import pytest

from sent.calls.ending import EndCode, Ending
from sent.calls.plan import Echo, PlayFile
from sent.calls.ports import LegEnded
from sent.media.port import MediaError
from tests.scenarios.calls_world import ORGANIZATION, World, run
from tests.scenarios.test_calls_services import FILE
from tests.scenarios.test_calls_talking import talking


@pytest.mark.parametrize("step", [Echo(), PlayFile(FILE)])
def test_a_caller_that_leaves_as_its_media_is_used_has_hung_up_and_nothing_failed(step):
    async def scenario():
        world = World()
        world.engine.files[FILE] = 4_000
        world.route("600", step)
        alice = world.caller()
        hung_up = alice.answer

        def answer_and_leave(codecs=()):
            hung_up(codecs)
            # Its BYE is read by the loop before the call's task has its next turn.
            alice.finish(Ending(EndCode.HUNG_UP, "Alice hung up.", by="caller"))

        alice.answer = answer_and_leave
        call = world.start(alice, "600")
        record = await world.finished(call)
        assert (record.ending.code, record.ending.by) in ((EndCode.HUNG_UP, "caller"), (EndCode.CANCELLED, "caller"))

    run(scenario())


def test_an_echo_whose_media_closed_under_it_is_no_internal_error():
    async def scenario():
        world = World()
        world.route("600", Echo())
        alice = world.caller()
        world.engine.fail["bridge"] = MediaError("media.no_leg", "There is no such leg.")
        call = world.start(alice, "600")
        await asyncio.sleep(1)
        alice.say("hangup")
        record = await world.finished(call)
        assert (record.ending.code, record.ending.by) == (EndCode.HUNG_UP, "caller")
        assert "could not echo to Alice" in record.flags[0]

    run(scenario())


def test_a_media_leg_that_does_not_close_keeps_no_other_open():
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        alice.finish = lambda ending: alice.sink(_ended(alice, ending))
        bob.finish = lambda ending: bob.sink(_ended(bob, ending))
        close, failed = world.engine.close, []

        def close_but_once(leg):
            if not failed:
                failed.append(leg)
                raise MediaError("media.gone", "The engine's thread is gone.")
            return close(leg)

        world.engine.close = close_but_once
        bob.say("hangup")
        await asyncio.sleep(10)
        assert world.registry.get(call, ORGANIZATION) is None
        assert world.records.final(call).ending.code is EndCode.HUNG_UP
        assert list(world.engine.legs) == failed

    run(scenario())


def _ended(phone, ending):
    phone.ended = True
    return LegEnded(phone.leg_id, ending)


@pytest.mark.parametrize("comes_back", [True, False])
def test_a_phone_that_vanished_while_the_call_was_held_is_found_out_after_it(comes_back):
    async def scenario():
        world = World()
        call, alice, bob = await talking(world)
        bob.say("hold")
        await asyncio.sleep(40)
        for ms in (5_000, 30_000):  # each threshold is reported once
            world.engine.fall_silent(alice.media, ms)
        await asyncio.sleep(40)
        bob.say("resume")
        await asyncio.sleep(1)
        if comes_back:
            world.engine.resume(alice.media)
        await asyncio.sleep(28)
        assert world.registry.get(call, ORGANIZATION) is not None
        await asyncio.sleep(5)
        if comes_back:
            bob.say("hangup")
        record = await world.finished(call, within=60)
        assert record.ending.code is (EndCode.HUNG_UP if comes_back else EndCode.MEDIA_LOST)
        assert (record.flags == ()) is comes_back

    run(scenario())


@pytest.mark.parametrize("jump", [timedelta(hours=-2), timedelta(days=400)])
def test_a_clock_that_is_set_in_mid_call_changes_no_duration(jump):
    async def scenario():
        world = World()
        right, jumped = world.now, []
        tools = world.registry._tools
        world.registry._tools = replace(tools, now=lambda: right() + (jump if jumped else timedelta(0)))
        call, _, bob = await talking(world)
        await asyncio.sleep(60)
        jumped.append(True)
        await asyncio.sleep(60)
        bob.say("hangup")
        record = await world.finished(call)
        talked = (record.ended_at - record.answered_at).total_seconds()
        assert talked == pytest.approx(120, abs=2)
        times = [state.at for state in record.states]
        assert times == sorted(times)
        assert record.started_at == times[0]
        for leg in record.legs:
            assert leg.started_at <= leg.answered_at <= leg.ended_at

    run(scenario())


def test_a_call_that_is_cancelled_while_the_recorder_begins_gives_its_ticket_back_and_leaks_nothing():
    async def scenario():
        world = World()
        world.recorder.seconds = 2.0
        call, _, _ = await talking(world, record=True)
        task = world.registry._running[call].task
        task.cancel()
        await asyncio.sleep(0.01)
        task.cancel()  # while it waits for the recorder
        await asyncio.sleep(10)
        assert world.registry.get(call, ORGANIZATION) is None
        assert world.records.final(call).ending.code is EndCode.SHUT_DOWN
        assert [ticket.id for ticket in world.recorder.begun] == [done for done, _ in world.recorder.finished]
        world.engine.check_released()

    run(scenario())


def test_a_port_that_cannot_be_listened_to_fails_its_target_at_once():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102")
        world.route("102", world.ring("102"))

        def broken(sink):
            raise RuntimeError

        bob.listen = broken
        alice = world.caller()
        call = world.start(alice, "102")
        record = await world.finished(call, within=10)
        assert record.ending.code is EndCode.FAILED

    run(scenario())


def test_answer_and_hangup_of_the_callee_in_one_turn():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102")
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice, "102")
        await asyncio.sleep(0.1)
        bob.say("answer")
        bob.say("hangup")
        record = await world.finished(call, within=10)
        assert "answer" not in alice.commands
        assert record.ending.sip_status is not None, "the caller gets a final answer"

    run(scenario())


def test_hang_up_answer_and_cancel_in_one_turn_end_the_call_once():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (0.1, "ringing"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice, "102")
        await asyncio.sleep(1)
        bob.say("answer")
        alice.say("cancel")
        assert world.registry.hang_up(call, ORGANIZATION, Ending(EndCode.HUNG_UP, "An operator ended the call."))
        record = await world.finished(call, within=10)
        assert record.ending.code in (EndCode.CANCELLED, EndCode.HUNG_UP)
        assert record.answered_at is None

    run(scenario())


def test_a_plan_that_comes_while_the_node_drains_and_the_call_is_hung_up():
    async def scenario():
        world = World()
        world.plan_seconds = 2.0
        bob = world.phone("Bob", "102", (0.1, "ringing"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice, "102")
        await asyncio.sleep(1)
        draining = asyncio.ensure_future(world.registry.drain(5.0))
        await asyncio.sleep(0.1)
        assert world.registry.hang_up(call, ORGANIZATION, Ending(EndCode.HUNG_UP, "An operator ended the call."))
        assert await draining == 0
        record = await world.finished(call)
        assert record.ending.words == "An operator ended the call."
        assert bob.commands == []
        assert len(world.registry) == 0

    run(scenario())
