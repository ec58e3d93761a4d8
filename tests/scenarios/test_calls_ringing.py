"""Whole calls on virtual time: from the request to the answer, or to why there was none."""

from __future__ import annotations

import asyncio

import pytest

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.models import Disposition
from sent.calls.plan import Refuse, Ring
from sent.calls.state import CallState
from sent.kit.errors import Unavailable
from tests.scenarios.calls_world import EPOCH, World, refused, run

RINGBACK_HEARD = "tone 425"


def states(record):
    return [entry.state.value for entry in record.states]


def test_a_plain_call_rings_is_answered_with_the_callees_codec_and_bridged():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "ringing"), (3, "answer"), (10, "hangup"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(4)
        assert bob.offered == ("PCMU", "PCMA"), "the caller's codecs are offered, in its order"
        assert alice.commands == ["180", "answer"]
        assert alice.answered_with == ("PCMA", "PCMU"), "what the callee took comes first: no transcoding"
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        assert world.engine.hears(bob.media) == f"leg {alice.media}"
        record = await world.finished(call)
        assert states(record) == ["new", "routing", "ringing", "connected", "ended"]
        assert [(s.at - EPOCH).total_seconds() for s in record.states] == pytest.approx([0, 0, 1, 3, 10])
        assert (record.ending.code, record.ending.by) == (EndCode.HUNG_UP, "callee")
        assert record.ending.words == "Bob hung up."
        assert record.disposition is Disposition.ANSWERED
        assert alice.commands[-1] == "end hung_up"
        assert [leg.role.value for leg in record.legs] == ["caller", "callee"]
        assert record.ladder.omitted == 2
        assert {m.signalling_id for m in record.ladder.messages} == {leg.signalling_id for leg in record.legs}
        assert world.metrics.endings == [EndCode.HUNG_UP]

    run(scenario())


def test_a_caller_that_can_do_none_of_the_callees_codecs_is_answered_with_its_own():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "answer"), (3, "hangup"))
        bob.codec, bob._codecs = "opus", ("opus", "G722")
        world.route("102", world.ring("102"))
        alice = world.caller()
        alice._codecs = ("PCMU", "pcma", "g722")
        await world.finished(world.start(alice))
        assert alice.answered_with == ("opus", "G722", "PCMU", "pcma")

    run(scenario())


def test_a_caller_that_cannot_be_answered_was_not_answered():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "answer"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        alice.answer = lambda codecs: alice.say("no_common_codec")
        record = await world.finished(world.start(alice))
        assert (record.ending.code, record.answered_at) == (EndCode.NO_COMMON_CODEC, None)
        assert record.disposition is Disposition.REFUSED
        assert bob.endings[0].code is EndCode.NO_COMMON_CODEC

    run(scenario())


def test_the_record_is_put_at_the_start_at_the_answer_and_at_the_end():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "ringing"), (2, "answer"), (5, "hangup"))
        world.route("102", world.ring("102"))
        call = world.start(world.caller())
        await world.finished(call)
        kept = [(r.version, r.state) for r in world.records.put_records]
        assert kept == [(1, CallState.NEW), (2, CallState.CONNECTED), (3, CallState.ENDED)]

    run(scenario())


def test_two_answers_at_once_the_first_wins_the_other_is_told():
    async def scenario():
        world = World()
        desk = world.phone("Bob", "102", (1, "ringing"), (2, "answer"))
        mobile = world.phone("Bob", "102", (1, "ringing"), (2, "answer"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(3)
        assert world.engine.hears(alice.media) == f"leg {desk.media}"
        assert [e.code for e in mobile.endings] == [EndCode.ANSWERED_ELSEWHERE]
        assert desk.endings == []
        desk.say("hangup")
        record = await world.finished(call)
        assert [leg.ending.code for leg in record.legs[1:]] == [EndCode.HUNG_UP, EndCode.ANSWERED_ELSEWHERE]

    run(scenario())


def test_an_answer_that_crosses_our_cancel_is_ignored_and_counted():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "answer"))
        slow = world.phone("Bob", "102", (1, "ringing"))
        slow.crosses = "answer"
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(2)
        alice.say("hangup")
        record = await world.finished(call)
        assert record.ending.code is EndCode.HUNG_UP
        assert record.ignored_events == 1
        assert world.metrics.ignored_events == 1

    run(scenario())


@pytest.mark.parametrize("early", [False, True])
def test_the_caller_cancels_while_it_rings(early):
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "early" if early else "ringing"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        alice.later(5, "cancel")
        record = await world.finished(call)
        assert record.ending.code is EndCode.CANCELLED
        assert record.ending.by == "caller"
        assert record.disposition is Disposition.MISSED
        assert bob.endings[0].code is EndCode.CANCELLED
        assert record.answered_at is None

    run(scenario())


def test_a_caller_that_left_in_the_moment_of_the_answer_is_not_answered():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "ringing"), (5, "answer"))
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(4)
        # Both in one turn of the loop, the answer first: the queue holds both when the call looks.
        bob.say("answer")
        alice.say("cancel")
        record = await world.finished(call)
        assert record.ending.code is EndCode.CANCELLED
        assert record.answered_at is None
        assert "answer" not in alice.commands
        assert bob.commands[-1] == "end cancelled"

    run(scenario())


def test_the_caller_cancels_before_the_dialplan_has_answered():
    async def scenario():
        world = World()
        world.route("102", world.ring("102"))
        world.plan_seconds = 3
        alice = world.caller()
        call = world.start(alice)
        alice.later(1, "cancel")
        record = await world.finished(call, within=3)
        assert record.ending.code is EndCode.CANCELLED
        assert record.direction is None

    run(scenario())


def test_the_caller_cancels_while_legs_are_being_made():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "ringing"))
        world.target_seconds["102"] = 2
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        alice.later(1, "cancel")
        record = await world.finished(call)
        assert record.ending.code is EndCode.CANCELLED
        assert bob.commands == []

    run(scenario())


def test_legs_that_come_after_the_call_is_over_are_ended_too():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "ringing"))
        world.target_seconds["102"] = 2
        world.stubborn.add("102")
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        alice.later(1, "cancel")
        record = await world.finished(call)
        assert bob.commands == ["end cancelled"]
        assert [leg.state.value for leg in record.legs] == ["ended", "ended"]

    run(scenario())


def test_nobody_answers():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "ringing"))
        world.route("102", world.ring("102", seconds=20))
        alice = world.caller()
        record = await world.finished(world.start(alice))
        assert record.ending.code is EndCode.NO_ANSWER
        assert record.ending.words == "Bob did not answer within 20 s."
        assert record.ending.sip_status == 480
        assert (record.ended_at - record.started_at).total_seconds() == pytest.approx(20)
        assert bob.endings[0].code is EndCode.NO_ANSWER
        assert record.disposition is Disposition.MISSED

    run(scenario())


@pytest.mark.parametrize(
    ("trunk", "code", "blame"),
    [(False, EndCode.OFFLINE, Blame.CALLEE), (True, EndCode.CARRIER_UNREACHABLE, Blame.CARRIER)],
)
def test_a_phone_or_carrier_that_never_even_rings(trunk, code, blame):
    async def scenario():
        world = World()
        world.phone("Bob", "102", trunk=trunk)
        world.route("102", world.ring("102", seconds=10))
        record = await world.finished(world.start(world.caller()))
        assert (record.ending.code, record.ending.blame) == (code, blame)

    run(scenario())


@pytest.mark.parametrize(
    "code",
    [
        EndCode.BUSY,
        EndCode.DECLINED,
        EndCode.NOT_FOUND,
        EndCode.NO_COMMON_CODEC,
        EndCode.CARRIER_REFUSED,
        EndCode.CARRIER_UNREACHABLE,
    ],
)
def test_what_the_far_side_says_reaches_the_caller_and_the_record(code):
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, code.value))
        world.route("102", world.ring("102"))
        alice = world.caller()
        record = await world.finished(world.start(alice))
        assert record.ending.code is code
        assert alice.endings[0] == record.ending
        assert record.ending.words
        if code is EndCode.CARRIER_REFUSED:
            assert record.ending.warning == '399 x "no credit"'
            assert record.ending.sip_status == 403

    run(scenario())


def test_one_busy_phone_does_not_silence_the_other():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "busy"))
        world.phone("Bob", "102", (1, "ringing"), (8, "answer"), (9, "hangup"))
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.HUNG_UP

    run(scenario())


def test_a_decline_speaks_for_all_phones_of_a_person():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "ringing"), (2, "declined"))
        other = world.phone("Bob", "102", (1, "ringing"))
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.DECLINED
        assert other.endings[0].code is EndCode.DECLINED
        assert (record.ended_at - record.started_at).total_seconds() == pytest.approx(2)

    run(scenario())


def test_of_several_failures_the_caller_hears_the_best():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "carrier_unreachable"), trunk=True)
        world.phone("Carol", "103", (2, "busy"))
        world.route("102", world.ring("102", "103"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.BUSY

    run(scenario())


def test_both_end_in_the_same_moment_and_both_count():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "carrier_unreachable"), trunk=True)
        world.phone("Carol", "103", (1, "busy"))
        world.route("102", world.ring("102", "103"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.BUSY

    run(scenario())


def test_a_carriers_failure_goes_on_to_the_next_step():
    async def scenario():
        world = World()
        world.phone("One", "+491", (1, "carrier_unreachable"), trunk=True)
        two = world.phone("Two", "+492", (1, "ringing"), (2, "answer"), (4, "hangup"), trunk=True)
        world.route("102", world.ring("+491"), world.ring("+492"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.HUNG_UP
        assert "ring" in two.commands
        assert [leg.ending.code for leg in record.legs[1:]] == [EndCode.CARRIER_UNREACHABLE, EndCode.HUNG_UP]

    run(scenario())


def test_legs_of_a_step_that_is_over_do_not_ring_in_the_next_one():
    async def scenario():
        world = World()
        one = world.phone("One", "+491", (0, "answer"), trunk=True)
        world.target_seconds["+491"] = 3
        world.phone("Two", "+492", (1, "ringing"), (5, "answer"), (6, "hangup"), trunk=True)
        world.route("102", world.ring("+491", seconds=1), world.ring("+492"))
        record = await world.finished(world.start(world.caller()))
        assert one.commands == ["end cancelled"]
        assert record.ending.words == "Two hung up."

    run(scenario())


@pytest.mark.parametrize("word", ["busy", "declined", "not_found"])
def test_an_answer_of_the_callee_is_never_tried_again(word):
    async def scenario():
        world = World()
        world.phone("One", "+491", (1, word), trunk=True)
        two = world.phone("Two", "+492", (1, "answer"), trunk=True)
        world.route("102", world.ring("+491"), world.ring("+492"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode(word)
        assert two.commands == []

    run(scenario())


def test_after_the_last_carrier_the_best_failure_is_heard():
    async def scenario():
        world = World()
        world.phone("One", "+491", (1, "carrier_refused"), trunk=True)
        world.phone("Two", "+492", (1, "carrier_unreachable"), trunk=True)
        world.route("102", world.ring("+491"), world.ring("+492"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.CARRIER_REFUSED

    run(scenario())


def test_early_media_is_heard_and_the_answer_keeps_the_bridge():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "early"), (5, "answer"), (9, "hangup"), trunk=True)
        world.route("102", world.ring("102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(2)
        assert alice.commands == ["183"]
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        await asyncio.sleep(4)
        assert alice.commands == ["183", "answer"]
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        record = await world.finished(call)
        assert states(record) == ["new", "routing", "early", "connected", "ended"]

    run(scenario())


def test_early_media_that_opens_late_is_bridged_when_it_is_there():
    async def scenario():
        world = World()
        bob = world.phone("Bob", "102", (1, "early"), trunk=True)
        world.route("102", world.ring("102"))
        alice = world.caller()
        alice.media_at_start = False
        call = world.start(alice)
        await asyncio.sleep(2)
        assert world.engine.hears(bob.media) is None
        alice._media = world.engine.open_rtp("192.0.2.1")[0]
        alice.say("renegotiated")
        await asyncio.sleep(0.1)
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        alice.say("cancel")
        assert (await world.finished(call)).ending.code is EndCode.CANCELLED

    run(scenario())


def test_a_ringing_before_early_media_gives_180_then_183():
    async def scenario():
        world = World()
        world.phone("Bob", "102", (1, "ringing"), (2, "early"), (3, "busy"), trunk=True)
        world.route("102", world.ring("102"))
        alice = world.caller()
        record = await world.finished(world.start(alice))
        assert alice.commands[:2] == ["180", "183"]
        assert record.ending.code is EndCode.BUSY

    run(scenario())


def test_after_a_failed_carriers_early_media_the_next_one_rings_with_a_tone():
    async def scenario():
        world = World()
        world.phone("One", "+491", (1, "early"), (3, "carrier_unreachable"), trunk=True)
        two = world.phone("Two", "+492", (1, "ringing"), (5, "answer"), (6, "hangup"), trunk=True)
        world.route("102", world.ring("+491"), world.ring("+492"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(4.5)
        assert alice.commands == ["183"], "a 180 after the open audio would be silence"
        assert world.engine.hears(alice.media) == RINGBACK_HEARD
        await asyncio.sleep(4)
        assert world.engine.hears(alice.media) == f"leg {two.media}"
        await world.finished(call)

    run(scenario())


def test_the_winner_is_heard_even_when_another_had_early_media():
    async def scenario():
        world = World()
        world.phone("One", "+491", (1, "early"), trunk=True)
        bob = world.phone("Bob", "102", (1, "ringing"), (4, "answer"))
        world.route("102", world.ring("+491", "102"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(5)
        assert world.engine.hears(alice.media) == f"leg {bob.media}"
        alice.say("hangup")
        await world.finished(call)

    run(scenario())


@pytest.mark.parametrize(
    ("error", "code", "words"),
    [
        (refused(EndCode.OFFLINE, "Bob has no phone registered.", blame=Blame.CALLEE), EndCode.OFFLINE, "registered"),
        (refused(EndCode.NOT_ALLOWED, "International calls are closed."), EndCode.NOT_ALLOWED, "International"),
        (Unavailable("db.unavailable", "The database does not answer."), EndCode.FAILED, "database"),
        (RuntimeError("bug"), EndCode.FAILED, "internal error"),
    ],
)
def test_a_target_that_cannot_be_made(error, code, words):
    async def scenario():
        world = World()
        world.target_errors["102"] = error
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is code
        assert words in record.ending.words

    run(scenario())


def test_a_user_without_phones_is_offline():
    async def scenario():
        world = World()
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert (record.ending.code, record.ending.sip_status) == (EndCode.OFFLINE, 480)
        assert record.ending.words == "Bob is offline."

    run(scenario())


def test_a_target_that_hangs_is_given_up():
    async def scenario():
        world = World()
        world.target_seconds["102"] = 100
        world.route("102", world.ring("102"))
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.FAILED
        assert (record.ended_at - record.started_at).total_seconds() == pytest.approx(5)

    run(scenario())


def test_legs_made_after_someone_else_answered_never_ring():
    async def scenario():
        world = World()
        late = world.phone("Carol", "103", (0, "answer"))
        world.target_seconds["103"] = 3
        bob = world.phone("Bob", "102", (1, "answer"))
        world.route("102", world.ring("102", "103"))
        alice = world.caller()
        call = world.start(alice)
        await asyncio.sleep(5)
        assert late.commands == ["end cancelled"]
        bob.say("hangup")
        await world.finished(call)

    run(scenario())


@pytest.mark.parametrize(
    ("code", "status"),
    [(EndCode.NOT_FOUND, 404), (EndCode.NOT_ALLOWED, 403), (EndCode.LIMIT_REACHED, 503), (EndCode.BUSY, 486)],
)
def test_refuse(code, status):
    async def scenario():
        world = World()
        world.route("102", Refuse(Ending(code, "No.")))
        alice = world.caller()
        record = await world.finished(world.start(alice))
        assert (record.ending.code, record.ending.sip_status) == (code, status)
        assert alice.commands == [f"end {code}"]
        assert states(record) == ["new", "routing", "ended"]

    run(scenario())


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (Unavailable("db.unavailable", "The database does not answer."), EndCode.FAILED),
        (refused(EndCode.NOT_ALLOWED, "No."), EndCode.NOT_ALLOWED),
        (KeyError("bug"), EndCode.FAILED),
    ],
)
def test_a_dialplan_that_fails(error, code):
    async def scenario():
        world = World()
        world.plan_error = error
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is code

    run(scenario())


def test_a_dialplan_that_hangs_is_given_up():
    async def scenario():
        world = World()
        world.plan_seconds = 60
        record = await world.finished(world.start(world.caller()))
        assert record.ending.code is EndCode.FAILED
        assert (record.ended_at - record.started_at).total_seconds() == pytest.approx(5)

    run(scenario())


def test_a_plan_without_steps_or_targets_says_so():
    async def scenario():
        world = World()
        world.route("102")
        assert (await world.finished(world.start(world.caller()))).ending.code is EndCode.FAILED
        world.route("102", Ring(()))
        assert (await world.finished(world.start(world.caller()))).ending.code is EndCode.OFFLINE

    run(scenario())


def test_leg_events_late_twice_and_out_of_order_change_nothing():
    async def scenario():
        world = World()
        script = [(1, "answer"), (1.1, "ringing"), (1.2, "early"), (1.3, "answer"), (1.4, "resume"), (9, "hangup"),
                  (9.0001, "answer"), (9.0002, "busy"), (9.0003, "digit")]  # fmt: skip
        world.phone("Bob", "102", *script)
        world.route("102", world.ring("102"))
        alice = world.caller()
        record = await world.finished(world.start(alice))
        assert states(record) == ["new", "routing", "connected", "ended"]
        assert record.ending.code is EndCode.HUNG_UP
        assert record.ignored_events >= 7
        assert record.digits == 0

    run(scenario())
