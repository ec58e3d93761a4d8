"""Whole calls between two phones: set up, end, cancel, refuse; on a clean wire and on one that loses a fifth."""

from __future__ import annotations

import asyncio
from itertools import pairwise

from sent.sip.config import AgentConfig
from sent.sip.events import Accepted, Cancelled, Confirmed, Ended, Failed, InfoReceived, InviteReceived, Progress
from sent.sip.session_state import SessionState
from sent.testing.phone import PhoneScript
from tests.scenarios.sip_support import BOB, BOB_URI, CLEAN, Pair, both_networks, play


@both_networks
def test_a_call_is_answered_and_hung_up_by_the_caller(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        accepted = await call.wait(Accepted)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        assert accepted.sdp == bob.session.local_sdp
        assert bob.session.remote_sdp == call.session.local_sdp
        assert call.session.state is bob.session.state is SessionState.CONFIRMED
        await asyncio.sleep(60)
        call.hang_up()
        ended = await bob.wait(Ended)
        assert (ended.cause, ended.by_remote) == ("bye", True)
        assert [type(event) for event in call.events][-2:] == [Accepted, Ended]
        assert len(bob.saw(InviteReceived)) == len(bob.saw(Confirmed)) == len(bob.saw(Ended)) == 1

    play(scenario, network, seed)


@both_networks
def test_the_callee_hangs_up(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        await call.wait(Accepted)
        bob = await pair.bob.wait_for_call()
        bob.hang_up()  # perhaps before the ACK: the BYE then waits for it
        ended = await call.wait(Ended)
        assert (ended.cause, ended.by_remote) == ("bye", True)

    play(scenario, network, seed)


@both_networks
def test_both_hang_up_at_once(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        call.hang_up()
        bob.hang_up()
        await pair.settle()
        assert len(call.saw(Ended)) == len(bob.saw(Ended)) == 1

    play(scenario, network, seed)


@both_networks
def test_a_refusal_carries_its_status_and_reason(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        failed = await call.wait(Failed)
        assert (failed.status, failed.cause) == (486, "response")
        assert failed.response is not None
        assert failed.response.headers.get("Reason") == "Q.850;cause=17"
        bob = await pair.bob.wait_for_call()
        assert (await bob.wait(Ended)).cause == "rejected"

    play(scenario, network, seed, script=PhoneScript(reject_with=486, headers=(("Reason", "Q.850;cause=17"),)))


@both_networks
def test_the_caller_cancels_while_it_rings(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        await call.wait(Progress)
        call.cancel()
        bob = await pair.bob.wait_for_call()
        await bob.wait(Cancelled)
        assert call.last == Failed(call.session, 487, "Request Terminated", None, "cancelled")
        assert bob.saw(Confirmed) == []

    play(scenario, network, seed, script=PhoneScript(answer_after=None))


@both_networks
def test_a_cancel_before_any_answer_waits_for_a_provisional_response(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        call.cancel()
        bob = await pair.bob.wait_for_call()
        await bob.wait(Cancelled)
        first = pair.wire.start_lines(source=("10.0.0.1", 5060), lost=None)
        assert first[0].startswith("INVITE ")

    play(scenario, network, seed, script=PhoneScript(ring_after=0.5, answer_after=None))


@both_networks
def test_a_cancel_that_crosses_the_answer_hangs_up(network: dict[str, float], seed: int) -> None:
    """RFC 5407 §3.1.2: the 2xx gets its ACK, then BYE."""

    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await call.wait(Progress)
        bob.answer()
        call.cancel()  # before the 200 is here
        assert isinstance(call.last, Failed)
        ended = await bob.wait(Ended)
        assert (ended.cause, ended.by_remote) in {("bye", True), ("ack_timeout", False)}
        assert call.saw(Accepted) == []
        if not network:
            assert [line.split()[0] for line in pair.wire.start_lines(source=("10.0.0.1", 5060))] == [
                "INVITE",
                "CANCEL",
                "ACK",
                "BYE",
            ]

    play(scenario, network, seed, script=PhoneScript(answer_after=None))


@both_networks
def test_digits_as_info_reach_the_other_side_once(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        call.info("application/dtmf-relay", b"Signal=5\r\nDuration=100\r\n")
        heard = await bob.wait(InfoReceived)
        assert (heard.content_type, heard.body) == ("application/dtmf-relay", b"Signal=5\r\nDuration=100\r\n")
        await pair.settle()
        assert len(bob.saw(InfoReceived)) == 1
        call.hang_up()

    play(scenario, network, seed)


def test_nobody_answers_the_phone() -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        failed = await call.wait(Failed, timeout=400)
        assert (failed.status, failed.cause) in {(408, "timeout"), (480, "response")}
        bob = await pair.bob.wait_for_call()
        await pair.settle()
        assert isinstance(bob.last, Ended | Cancelled)

    play(scenario, CLEAN, 1, script=PhoneScript(answer_after=None))


def test_a_phone_that_is_not_there_fails_after_64_t1() -> None:
    async def scenario(pair: Pair) -> None:
        started = pair.alice.now()
        call = pair.alice.call("sip:nobody@10.0.0.77")
        failed = await call.wait(Failed)
        assert (failed.status, failed.cause, round(pair.alice.now() - started)) == (408, "timeout", 32)
        # RFC 3261 §17.1.1.2: at 0, 0.5, 1.5, 3.5, 7.5, 15.5 and 31.5 s
        assert [round(packet.at - started, 1) for packet in pair.wire.packets] == [0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]

    play(scenario, CLEAN, 1)


def test_a_2xx_that_is_never_acknowledged_ends_with_bye() -> None:
    async def scenario(pair: Pair) -> None:
        pair.wire.lose = lambda packet: packet.start_line.startswith("ACK ")
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        started = pair.bob.now()
        ended = await bob.wait(Ended)
        assert (ended.cause, ended.by_remote) == ("ack_timeout", False)
        assert 32 <= pair.bob.now() - started <= 34
        assert (await call.wait(Ended)).by_remote
        # §13.3.1.4: the 2xx at T1, 2*T1, 4*T1, then every T2
        answers = [packet.at for packet in pair.wire.packets if packet.start_line == "SIP/2.0 200 OK"]
        gaps = [round(later - sooner, 1) for sooner, later in pairwise(answers)]
        assert gaps[:6] == [0.5, 1.0, 2.0, 4.0, 4.0, 4.0]

    play(scenario, CLEAN, 1)


def test_a_peer_that_vanishes_before_bye() -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        pair.bob.vanish()
        call.hang_up()
        assert call.saw(Ended)[0].cause == "bye"
        pair.bob.agent.sessions[bob.session.id].end(pair.bob.now())
        await pair.settle()
        assert pair.alice.agent.counters["dialog_requests_lost"] == 1

    play(scenario, CLEAN, 1)


def test_no_memory_is_kept_of_a_hundred_calls() -> None:
    async def scenario(pair: Pair) -> None:
        calls = [pair.alice.call(BOB_URI) for _ in range(100)]
        for call in calls:
            await call.wait(Accepted)
            call.hang_up()

    play(scenario, CLEAN, 1)


@both_networks
def test_a_contact_that_is_a_name_is_looked_up_for_requests_in_the_dialog(network: dict[str, float], seed: int) -> None:
    async def scenario(pair: Pair) -> None:
        pair.wire.name("bob.test", BOB)
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        assert call.session.dialog is not None
        assert str(call.session.dialog.remote_target) == "sip:bob@bob.test:5060"
        call.hang_up()
        assert (await bob.wait(Ended)).by_remote

    named = AgentConfig(methods=frozenset(), advertise=lambda place: ("bob.test", 5060))
    play(scenario, network, seed, config=named, alice_config=AgentConfig(methods=frozenset()))


def test_a_contact_that_cannot_be_found_falls_back_to_where_the_call_came_from() -> None:
    async def scenario(pair: Pair) -> None:
        call = pair.alice.call(BOB_URI)
        bob = await pair.bob.wait_for_call()
        await bob.wait(Confirmed)
        assert pair.alice.agent.counters["lookups_failed"] == 1
        call.hang_up()
        assert (await bob.wait(Ended)).by_remote

    lost = AgentConfig(methods=frozenset(), advertise=lambda place: ("nowhere.test", 5060))
    play(scenario, CLEAN, 1, config=lost, alice_config=AgentConfig(methods=frozenset()))
