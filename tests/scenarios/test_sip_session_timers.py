"""RFC 4028: either side refreshes, a refresher that dies ends the call, small intervals are refused and raised."""

from __future__ import annotations

import asyncio

import pytest

from sent.sip.config import AgentConfig
from sent.sip.events import Accepted, Confirmed, Ended
from sent.testing.phone import Call
from tests.scenarios.sip_support import ALICE, BOB, BOB_URI, CLEAN, Pair, both_networks, play

SHORT = AgentConfig(methods=frozenset(), session_expires=90)


async def connected(pair: Pair, headers: tuple[tuple[str, str], ...] = ()) -> tuple[Call, Call]:
    call = pair.alice.call(BOB_URI, headers=headers)
    bob = await pair.bob.wait_for_call()
    await call.wait(Accepted)
    await bob.wait(Confirmed)
    return call, bob


@both_networks
def test_the_caller_refreshes_for_an_hour(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        await asyncio.sleep(3600)
        assert call.last is bob.last is None
        refreshes = [line for line in pair.wire.start_lines(source=ALICE) if line.startswith("UPDATE ")]
        assert len(refreshes) >= 11, "every 300 s"
        assert not any(line.startswith("UPDATE ") for line in pair.wire.start_lines(source=BOB))
        call.hang_up()

    play(scenario, network, seed, config=AgentConfig(methods=frozenset(), session_expires=600))


@both_networks
def test_the_callee_refreshes_when_the_caller_knows_no_timers(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI, session_expires=0)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        await asyncio.sleep(3600)
        assert call.last is bob.last is None
        assert sum(line.startswith("UPDATE ") for line in pair.wire.start_lines(source=BOB)) >= 11
        bob.hang_up()

    play(scenario, network, seed, config=AgentConfig(methods=frozenset(), session_expires=600))


@pytest.mark.parametrize("victim", ["alice", "bob"])
def test_a_peer_that_dies_without_bye_is_found_out(victim: str) -> None:
    """Whoever dies, the other hangs up at interval - min(32, interval/3) after the last refresh."""

    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        dead, left = (pair.alice, bob) if victim == "alice" else (pair.bob, call)
        await asyncio.sleep(1)
        died = left.phone.now()
        dead.vanish()
        ended = await left.wait(Ended, timeout=200)
        assert ended.cause == "timer"
        assert left.phone.now() - died <= 90
        assert not ended.by_remote
        await pair.settle(150)
        assert (call if left is bob else bob).last is not None, "the dead phone's own timer, for the memory's sake"

    play(scenario, CLEAN, 1, config=SHORT)


def test_a_refresher_without_update_sends_a_reinvite() -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        assert call.session.dialog is not None
        call.session.dialog.peer_allow = frozenset({"INVITE", "BYE"})
        sdp = call.session.local_sdp
        await asyncio.sleep(50)
        assert sum(line.startswith("INVITE ") for line in pair.wire.start_lines(source=ALICE)) == 2
        assert bob.session.remote_sdp == call.session.local_sdp == sdp, "a refresh changes nothing"
        call.hang_up()

    play(scenario, CLEAN, 1, config=SHORT)


def test_an_interval_below_the_minimum_is_refused_with_422_and_raised() -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        assert "SIP/2.0 422 Session Interval Too Small" in pair.wire.start_lines(source=BOB)
        assert bob.incoming is not None
        assert bob.incoming.headers.get("Session-Expires") == "300"
        assert bob.incoming.headers.get("Min-SE") == "300"
        assert call.session.timer.agreement is not None
        assert call.session.timer.agreement.seconds == 300
        call.hang_up()

    strict = AgentConfig(methods=frozenset(), session_expires=1800, min_session_expires=300)
    play(scenario, CLEAN, 1, config=strict, alice_config=SHORT)


def test_a_lost_refresh_is_repeated_until_it_gets_through() -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        lost = 0

        def lose_some(packet: object) -> bool:
            nonlocal lost
            if getattr(packet, "start_line", "").startswith("UPDATE ") and lost < 4:
                lost += 1
                return True
            return False

        pair.wire.lose = lose_some
        await asyncio.sleep(300)
        assert lost == 4
        assert call.last is bob.last is None
        call.hang_up()

    play(scenario, CLEAN, 1, config=SHORT)
