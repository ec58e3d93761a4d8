"""Offers and answers: late ones, hold and un-hold, UPDATE, PRACK, two at once, and what a refusal leaves alone."""

from __future__ import annotations

import asyncio

import pytest

from sent.sip.events import (
    Accepted,
    Confirmed,
    Ended,
    OfferAnswered,
    Offered,
    OfferRefused,
    Progress,
)
from sent.testing.phone import Call, PhoneScript, direction_of
from tests.scenarios.sip_support import BOB_URI, CLEAN, Pair, both_networks, play


async def connected(pair: Pair, **options: object) -> tuple[Call, Call]:
    call = pair.alice.call(BOB_URI, **options)  # type: ignore[arg-type]  # as WirePhone.call
    bob = await pair.bob.wait_for_call()
    await call.wait(Accepted)
    await bob.wait(Confirmed)
    return call, bob


@both_networks
def test_a_late_offer_is_made_in_the_200_and_answered_in_the_ack(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair, late_offer=True)
        assert bob.saw(Confirmed)[0].sdp == call.session.local_sdp is not None
        assert call.saw(Accepted)[0].offer_pending
        assert call.session.remote_sdp == bob.session.local_sdp
        call.hang_up()

    play(scenario, network, seed)


@both_networks
def test_a_reliable_183_carries_the_answer_and_prack_acknowledges_it(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        early = call.saw(Progress)
        assert [event.status for event in early] == [183]
        assert early[0].sdp == bob.session.local_sdp == call.session.remote_sdp
        assert call.saw(Accepted)[0].sdp is None, "an answer is given once"
        assert any(line.startswith("PRACK ") for line in pair.wire.start_lines())
        call.hang_up()

    play(scenario, network, seed, script=PhoneScript(reliable=True, answer_after=2.0))


@both_networks
def test_a_late_offer_in_a_reliable_183_is_answered_in_the_prack(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair, late_offer=True)
        assert call.saw(Progress)[0].offer_pending
        assert bob.session.remote_sdp == call.session.local_sdp is not None
        assert call.session.remote_sdp == bob.session.local_sdp is not None
        assert not call.saw(Accepted)[0].offer_pending
        call.hang_up()

    play(scenario, network, seed, script=PhoneScript(reliable=True, answer_after=2.0))


@both_networks
def test_an_answer_waits_for_the_prack_of_a_reliable_response_with_sdp(network: dict[str, float], seed: int) -> None:
    """RFC 3262 §3."""

    async def scenario(pair: Pair) -> None:
        await connected(pair)
        order = [
            (packet.start_line.split()[0], packet.data)
            for packet in pair.wire.packets
            if packet.start_line.startswith(("PRACK", "SIP/2.0 200")) and not packet.lost
        ]
        first_prack = next(at for at, (method, _) in enumerate(order) if method == "PRACK")
        first_answer = next(at for at, (_, data) in enumerate(order) if b" INVITE\r\n" in data and b"200" in data[:12])
        assert first_prack < first_answer
        pair.alice.calls[0].hang_up()

    play(scenario, network, seed, script=PhoneScript(reliable=True, answer_after=0.0))


@both_networks
def test_hold_and_unhold(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        call.hold()
        assert direction_of((await bob.wait(Offered)).sdp) == "sendonly"
        assert direction_of((await call.wait(OfferAnswered)).sdp) == "recvonly"
        call.unhold()
        assert direction_of((await bob.wait(Offered, 2)).sdp) == "sendrecv"
        assert direction_of((await call.wait(OfferAnswered, 2)).sdp) == "sendrecv"
        assert bob.session.remote_sdp == call.session.local_sdp
        assert call.session.remote_sdp == bob.session.local_sdp
        await asyncio.sleep(60)
        assert call.last is bob.last is None, "hold ends no call"
        bob.hang_up()

    play(scenario, network, seed)


@both_networks
def test_the_callee_holds(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        bob.hold("inactive")
        assert direction_of((await call.wait(Offered)).sdp) == "inactive"
        assert direction_of((await bob.wait(OfferAnswered)).sdp) == "inactive"
        bob.unhold()
        await bob.wait(OfferAnswered, 2)
        call.hang_up()

    play(scenario, network, seed)


@both_networks
def test_unhold_by_an_invite_without_sdp(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        bob.hold()
        await bob.wait(OfferAnswered)
        bob.ask_for_offer()
        assert (await call.wait(Offered, 2)).sdp is None, "it asks for our offer"
        offer = await bob.wait(Offered)
        answered = await call.wait(OfferAnswered)
        assert offer.sdp == call.session.local_sdp
        assert answered.sdp == bob.session.local_sdp
        call.hang_up()

    play(scenario, network, seed)


@both_networks
def test_update_changes_the_session(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        call.update("sendonly")
        offered = await bob.wait(Offered)
        assert (offered.method, direction_of(offered.sdp)) == ("UPDATE", "sendonly")
        assert direction_of((await call.wait(OfferAnswered)).sdp) == "recvonly"
        call.hang_up()

    play(scenario, network, seed)


@both_networks
def test_an_offer_that_is_refused_leaves_the_call_as_it_was(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        before = call.session.local_sdp, bob.session.local_sdp
        pair.bob.script.answer_offers = False
        call.hold()
        assert (await call.wait(OfferRefused)).status == 488
        assert (call.session.local_sdp, bob.session.local_sdp) == before
        assert call.last is bob.last is None
        call.hang_up()

    play(scenario, network, seed)


@both_networks
def test_glare_backs_off_and_both_offers_get_through(network: dict[str, float], seed: int) -> None:
    """RFC 3261 §14.1: two re-INVITEs cross, both get 491, the owner of the Call-ID waits longer."""

    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        call.hold()
        bob.hold()
        await call.wait(OfferAnswered)
        await bob.wait(OfferAnswered)
        if not network:
            assert pair.alice.agent.counters["glares"] + pair.bob.agent.counters["glares"] >= 2
            assert "SIP/2.0 491 Request Pending" in pair.wire.start_lines()
        call.hang_up()

    play(scenario, network, seed)


def test_offers_made_while_one_runs_are_queued_and_the_latest_wins() -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        call.hold()
        call.hold("inactive")
        call.unhold()
        await call.wait(OfferAnswered, 2)
        assert [direction_of(event.sdp) for event in bob.saw(Offered)] == ["sendonly", "sendrecv"]
        call.hang_up()

    play(scenario, CLEAN, 1)


def test_hanging_up_with_an_offer_unanswered_leaves_nothing_behind() -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        pair.wire.lose = lambda packet: packet.start_line.startswith("INVITE ")
        call.hold()
        await asyncio.sleep(1)
        call.hang_up()
        assert (await bob.wait(Ended)).by_remote

    play(scenario, CLEAN, 1)


def test_a_reinvite_that_nobody_answers_ends_the_call() -> None:
    """RFC 3261 §12.2.1.2."""

    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        pair.wire.lose = lambda packet: packet.start_line.startswith("INVITE ")
        call.hold()
        assert (await call.wait(Ended)).cause == "silent"
        assert (await bob.wait(Ended)).by_remote

    play(scenario, CLEAN, 1)


@pytest.mark.parametrize("method", ["INVITE", "UPDATE"])
def test_an_offer_that_the_application_forgets_is_refused_in_time(method: str) -> None:
    async def scenario(pair: Pair) -> None:
        call, bob = await connected(pair)
        bob.handle = bob.events.append  # type: ignore[method-assign]  # an application that does nothing
        call.hold() if method == "INVITE" else call.update("sendonly")
        assert (await call.wait(OfferRefused)).status == 504
        assert not bob.session.answer_offer(b"too late", pair.bob.now())
        assert call.last is bob.last is None
        call.hang_up()

    play(scenario, CLEAN, 1)


def test_an_answer_that_changed_after_the_reliable_one_is_offered_after_the_ack() -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await call.wait(Progress)
        changed = b"v=0\r\no=- 1 9 IN IP4 10.0.0.3\r\ns=-\r\nt=0 0\r\n"
        bob.session.answer(pair.bob.now(), changed)
        pair.bob.port.touch()
        assert (await call.wait(Offered)).sdp == changed
        await bob.wait(OfferAnswered)
        assert call.session.remote_sdp == bob.session.local_sdp == changed
        call.hang_up()

    play(scenario, CLEAN, 1, script=PhoneScript(reliable=True, answer_after=None))
