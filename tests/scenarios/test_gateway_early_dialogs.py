"""Before the answer: a carrier's audio for callers with and without an offer, PRACK and UPDATE on both sides."""

from __future__ import annotations

import asyncio

import pytest

from sent.calls.ending import EndCode
from sent.sip.events import Accepted, Cancelled, Confirmed, Failed, OfferAnswered, Progress
from sent.testing.phone import Call, PhoneScript
from tests.scenarios.gateway_world import World, play
from tests.scenarios.test_gateway_calls import ending, settings_towards
from tests.scenarios.test_gateway_trunks import ELSEWHERE, with_trunk

SPEAKS_EARLY = PhoneScript(reliable=True, answer_after=5.0)
NEVER_ANSWERS = PhoneScript(reliable=True, answer_after=None)


async def early(call: Call) -> Progress:
    """The first provisional response with SDP."""
    progress = await call.wait(Progress)
    while progress.sdp is None:
        progress = await call.wait(Progress, len(call.saw(Progress)) + 1)
    return progress


def is_heard(world: World) -> bool:
    return all((world.engine.hears(leg) or "").startswith("leg") for leg in world.engine.legs)


@pytest.mark.parametrize("seed", [0, 1, 2, 3])
@pytest.mark.parametrize("late_offer", [False, True])
def test_a_carriers_audio_reaches_the_caller_before_the_answer(late_offer: bool, seed: int):
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, SPEAKS_EARLY)
        call = alice.call(ELSEWHERE, late_offer=late_offer)
        progress = await early(call)
        assert (progress.status, progress.offer_pending) == (183, late_offer)
        await asyncio.sleep(3)
        assert call.saw(Accepted) == []
        assert is_heard(world)
        assert settings_towards(world, "10.0.1.1").remote == ("10.0.1.1", 20_002)
        await call.wait(Accepted)
        await carrier.calls[0].wait(Confirmed)
        await asyncio.sleep(2)
        assert is_heard(world)
        call.hang_up()
        await world.settle(80)
        assert ending(world) == (EndCode.HUNG_UP, "Alice hung up.")
        assert world.record.answered_at is not None
        assert (world.record.answered_at - world.record.started_at).total_seconds() > 4
        world.check_released()

    play(scenario, seed=seed, **({"loss": 0.1, "duplicate": 0.1, "delay": 0.05, "jitter": 0.1} if seed else {}))


def test_a_late_offer_caller_that_never_answers_our_early_offer_is_given_up():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, NEVER_ANSWERS)
        world.wire.lose = lambda packet: packet.start_line.startswith("PRACK") and packet.source[0] == "10.0.1.1"
        call = alice.call(ELSEWHERE, late_offer=True)
        failed = await call.wait(Failed, timeout=120)
        assert failed.status == 504
        await carrier.calls[0].wait(Cancelled)
        await world.settle(80)
        world.check_released()

    play(scenario)


def test_a_late_offer_caller_without_100rel_hears_with_the_answer():
    """An offer in an unreliable response would be none (RFC 3261 §13.2.1)."""

    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world, SPEAKS_EARLY)
        alice.agent.supported = "timer"
        call = alice.call(ELSEWHERE, late_offer=True)
        await call.wait(Accepted)
        assert [(p.status, p.sdp) for p in call.saw(Progress)] == [(180, None)]
        await asyncio.sleep(1)
        assert is_heard(world)

    play(scenario)


@pytest.mark.parametrize("side", ["caller", "callee"])
def test_either_side_may_update_its_media_before_the_answer(side: str):
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, NEVER_ANSWERS)
        call = alice.call(ELSEWHERE)
        await early(call)
        await asyncio.sleep(2)
        theirs = carrier.calls[0]
        mover, host = (call, "10.0.1.1") if side == "caller" else (theirs, "192.0.2.50")
        mover._media.port = 33_000
        mover.update()
        await mover.wait(OfferAnswered)
        assert settings_towards(world, host).remote == (host, 33_000)
        await asyncio.sleep(1)
        assert is_heard(world)
        theirs.answer()
        await call.wait(Accepted)
        await asyncio.sleep(1)
        assert is_heard(world)
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def test_a_caller_that_gives_up_during_early_media_leaves_nothing():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, NEVER_ANSWERS)
        call = alice.call(ELSEWHERE, late_offer=True)
        await early(call)
        await asyncio.sleep(1)
        call.cancel()
        await carrier.calls[0].wait(Cancelled)
        await world.settle()
        assert ending(world)[0] is EndCode.CANCELLED
        world.check_released()

    play(scenario)
