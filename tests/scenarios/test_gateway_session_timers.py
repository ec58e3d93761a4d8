"""RFC 4028 through the gateway: whoever refreshes, on either leg, a party that is gone ends the call and is named."""

from __future__ import annotations

import asyncio

import pytest

from sent.calls.ending import EndCode
from sent.sip.events import Accepted, Confirmed, Ended
from sent.testing.phone import Call
from tests.scenarios.gateway_world import SERVER, World, play
from tests.scenarios.test_gateway_calls import ending, two_phones
from tests.scenarios.test_gateway_trunks import ELSEWHERE, with_trunk

SECONDS = 120
CALLER, CALLEE = ("10.0.1.1", 5060), ("10.0.1.2", 5060)


def refreshes(world: World, source: tuple[str, int]) -> int:
    return sum(line.startswith(("UPDATE", "INVITE")) for line in world.wire.start_lines(source=source))


async def timed_call(world: World, refresher: str) -> tuple[Call, Call]:
    """Both legs refresh every minute; ``refresher``: the phones or the server."""
    world.agent.config = config = world.agent.config.__class__(
        trace=world.agent.config.trace, session_expires=SECONDS, min_session_expires=90
    )
    assert config.session_expires == SECONDS
    alice, bob = await two_phones(world)
    if refresher == "server":
        # A phone without timers: nothing of them in its INVITE, nothing in its 200.
        bob.agent.config = bob.agent.config.__class__(methods=frozenset(), session_expires=0)
        call = alice.call("102", session_expires=0)
    else:
        call = alice.call("102", headers=(), session_expires=SECONDS)
    await call.wait(Accepted)
    await bob.calls[0].wait(Confirmed)
    return call, bob.calls[0]


@pytest.mark.parametrize("refresher", ["phones", "server"])
def test_a_call_outlives_its_interval_many_times(refresher: str):
    async def scenario(world: World) -> None:
        call, theirs = await timed_call(world, refresher)
        await asyncio.sleep(3600)
        assert call.last is theirs.last is None
        assert refreshes(world, SERVER) + refreshes(world, CALLER) >= 2 * 3600 / SECONDS
        if refresher == "server":
            assert refreshes(world, CALLER) <= 2  # the INVITE, without and with credentials
        else:
            assert refreshes(world, CALLER) > 20
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


@pytest.mark.parametrize("refresher", ["phones", "server"])
@pytest.mark.parametrize("victim", ["Alice", "Bob"])
def test_a_phone_that_dies_ends_the_call_and_is_named(victim: str, refresher: str):
    async def scenario(world: World) -> None:
        call, theirs = await timed_call(world, refresher)
        await asyncio.sleep(300)
        dead, left = (call, theirs) if victim == "Alice" else (theirs, call)
        dead.phone.vanish()
        died = world.loop.time()
        ended = await left.wait(Ended, timeout=SECONDS + 60)
        assert ended.by_remote
        assert world.loop.time() - died <= SECONDS + 40
        await world.settle(80)
        code, words = ending(world)
        assert code is EndCode.SESSION_EXPIRED
        assert words.startswith(f"{victim} ")
        assert world.record.ending is not None
        assert world.record.ending.by == "system"
        dead.phone.agent.sessions.clear()
        world.check_released()

    play(scenario)


def test_a_phone_that_restarted_ends_the_call_at_the_next_refresh():
    async def scenario(world: World) -> None:
        call, theirs = await timed_call(world, "server")
        theirs.phone.agent.dialogs.clear()  # it has forgotten everything, and says 481 to what it does not know
        ended = await call.wait(Ended, timeout=SECONDS)
        assert ended.by_remote
        await world.settle()
        assert ending(world) == (EndCode.SESSION_EXPIRED, "Bob no longer knows this call; it may have restarted.")
        world.check_released()

    play(scenario)


def test_a_carrier_that_goes_away_in_mid_call_is_named():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world)
        call = alice.call(ELSEWHERE)
        await call.wait(Accepted)
        carrier.vanish()
        await call.wait(Ended, timeout=4000)
        await world.settle(80)
        assert ending(world) == (EndCode.SESSION_EXPIRED, "Nordnet does not answer any more and has vanished.")
        world.check_released()

    play(scenario)
