"""Where a carrier's call and a phone's meet: shared addresses, refused audio, required encryption, loops."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from sent.calls.ending import Blame, EndCode
from sent.kit.errors import Unavailable
from sent.sip.events import Accepted, Cancelled, Failed, Progress
from sent.sip.header_values import NameAddr
from sent.sip.uri import SipUri
from sent.testing.phone import Call, PhoneScript, WirePhone
from sent.trunks.models import SrtpPolicy, TrunkMode
from tests.scenarios.gateway_world import SERVER, World, play
from tests.scenarios.test_gateway_calls import SDP, ending, warning
from tests.scenarios.test_gateway_trunks import DOMAIN, ELSEWHERE, OUR_NUMBER, calls_in, two_trunks, with_trunk

TRUNK_ID = UUID(int=100)
BY_ADDRESS = {"mode": TrunkMode.ADDRESS, "sources": ("192.0.2.50",), "numbers": {OUR_NUMBER: "102"}}


def calls_in_with(carrier: WirePhone, sdp: bytes | None, *headers: tuple[str, str], user: str = "+4940123456") -> Call:
    session = carrier.agent.invite(
        SipUri("sip", SERVER[0], OUR_NUMBER),
        from_=NameAddr(SipUri("sip", DOMAIN, user), "Ann Outside"),
        targets=[carrier.port.target(SERVER)],
        now=carrier.now(),
        offer=sdp,
        headers=headers,
    )
    call = carrier._add(session, carrier._media())
    carrier.port.touch()
    return call


def test_a_carriers_call_without_a_common_codec_frees_its_line():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, **BY_ADDRESS)
        failed = await calls_in_with(carrier, SDP.encode()).wait(Failed)
        assert failed.status == 488
        assert "media line 1" in warning(failed)
        await world.settle()
        assert world.usage.running(TRUNK_ID) == 0
        world.check_released()

    play(scenario)


def test_a_trunk_that_requires_srtp_takes_no_plain_audio():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, srtp=SrtpPolicy.REQUIRED, **BY_ADDRESS)
        failed = await calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER)).wait(Failed)
        assert failed.status == 488
        await world.settle()
        assert world.phones[1].calls == []
        world.check_released()

    play(scenario)


def test_a_trunk_that_requires_srtp_offers_nothing_else():
    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world, PhoneScript(reject_with=488), srtp=SrtpPolicy.REQUIRED)
        await alice.call(ELSEWHERE).wait(Failed)
        (call,) = carrier.calls
        assert call.incoming is not None
        assert b"RTP/SAVP " in call.incoming.body
        assert b"a=crypto:" in call.incoming.body

    play(scenario)


def test_a_phone_behind_a_carriers_address_stays_a_phone():
    """It asks without credentials first, from a port that has never registered."""

    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, **BY_ADDRESS)
        carol = world.phone("carol", "192.0.2.50", "103", port=5070)
        call = carol.call("102")
        await call.wait(Accepted)
        incoming = world.phones[1].calls[0].incoming
        assert incoming is not None
        assert getattr(incoming.from_.uri, "user", None) == "103"
        call.hang_up()
        await calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER)).wait(Accepted)

    play(scenario)


def test_while_credentials_cannot_be_looked_up_a_carriers_call_comes_through():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, **BY_ADDRESS)

        async def away(sip_username: str) -> None:
            raise Unavailable("db.away", "The database is away.")

        world.credentials.find = away  # type: ignore[assignment, method-assign]
        call = calls_in(carrier, SipUri("sip", SERVER[0], OUR_NUMBER))
        await call.wait(Accepted)

    play(scenario)


@pytest.mark.parametrize(
    "headers",
    [
        (),
        (("Reason", 'Q.850;cause=21;text="call rejected"'),),
        (("Reason", "Q.850;cause=21"), ("Warning", '399 nordnet "caller ID not yours"')),
    ],
)
def test_a_carriers_403_is_its_own_refusal_and_reaches_the_caller_as_403(headers: tuple[tuple[str, str], ...]):
    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world, PhoneScript(reject_with=403, headers=headers))
        failed = await alice.call(ELSEWHERE).wait(Failed)
        assert failed.status == 403
        await world.settle()
        code, words = ending(world)
        assert code is EndCode.CARRIER_REFUSED
        assert words.startswith("Carrier Nordnet refused the call: 403 Forbidden")
        for _, value in headers:
            if '"' in value:
                assert value.split('"')[1] in words
        assert world.record.ending is not None
        assert (world.record.ending.by, world.record.ending.sip_status) == ("carrier", 403)

    play(scenario)


@pytest.mark.parametrize(("status", "rings"), [(403, True), (500, True), (503, True), (403, False)])
def test_no_other_carrier_rings_a_callee_whose_phone_has_rung(status: int, rings: bool):
    async def scenario(world: World) -> None:
        alice, first, second = await two_trunks(world, PhoneScript(answer_after=None, ring_after=None))
        call = alice.call(ELSEWHERE)
        theirs = await first.wait_for_call()
        await asyncio.sleep(1)
        if rings:
            theirs._ring()
            await asyncio.sleep(3)
        theirs.reject(status)
        if rings:
            failed = await call.wait(Failed)
            assert failed.status in {403, 500, 502, 503}
            assert second.calls == []
            await world.settle()
            assert world.record.ending is not None
            assert world.record.ending.blame is not Blame.CARRIER
        else:
            await call.wait(Accepted)
            assert len(second.calls) == 1

    play(scenario)


def test_a_call_that_goes_in_circles_ends():
    """Two systems that send a number to each other: what is left of Max-Forwards is carried across."""

    async def scenario(world: World) -> None:
        alice, carrier = await with_trunk(world)
        call = alice.call(ELSEWHERE, headers=(("Max-Forwards", "7"),))
        await call.wait(Accepted)
        incoming = carrier.calls[0].incoming
        assert incoming is not None
        assert incoming.max_forwards == 6
        call.hang_up()
        await alice.call("102").wait(Accepted)
        ours = world.phones[1].calls[0].incoming
        assert ours is not None
        assert ours.max_forwards == 69
        failed = await alice.call("102", headers=(("Max-Forwards", "1"),)).wait(Failed)
        assert failed.status == 483
        assert "loop" in warning(failed)
        failed = await alice.call("102", headers=(("Max-Forwards", "0"),)).wait(Failed)
        assert failed.status == 483

    play(scenario)


@pytest.mark.parametrize("status", [300, 301, 302, 305, 380])
def test_a_redirection_is_not_followed_and_says_so(status: int):
    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world, PhoneScript(reject_with=status, headers=(("Contact", "<sip:x@evil.test>"),)))
        world.phones[1].script.reject_with = status
        for callee in ("102", ELSEWHERE):
            failed = await alice.call(callee).wait(Failed)
            assert failed.status in {480, 502}
            assert "elsewhere" in warning(failed)
        await world.settle()
        assert not any("evil.test" in p.start_line for p in world.wire.packets)
        world.check_released()

    play(scenario)


@pytest.mark.parametrize("reason", [";;;", "Q.850;cause=abc", "Q.850;cause=16, SIP;cause=600", 'Q.850;text="x'])
def test_a_malformed_reason_of_one_phone_ends_the_others_all_the_same(reason: str):
    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world)
        bob = world.phones[1]
        bob.script = PhoneScript(reject_with=603, answer_after=2.0, headers=(("Reason", reason),))
        second = world.phone("bob2", "10.0.1.3", person=2, script=PhoneScript(answer_after=None))
        await second.register()
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 603
        await second.calls[0].wait(Cancelled)
        await world.settle()
        assert ending(world)[0] is EndCode.DECLINED
        world.check_released()

    play(scenario)


def test_a_carriers_call_from_a_number_with_control_characters_is_recorded_without_them():
    async def scenario(world: World) -> None:
        _, carrier = await with_trunk(world, **BY_ADDRESS)
        call = calls_in_with(carrier, carrier._media().sdp(), user="+49\x00\n\x1b[2J")
        await call.wait(Accepted)
        call.hang_up()
        await world.settle()
        assert world.record.caller.number.isprintable()
        incoming = world.phones[1].calls[0].incoming
        assert incoming is not None
        assert b"%00" not in incoming.to_bytes()

    play(scenario)


def test_ringing_is_repeated_each_minute():
    async def scenario(world: World) -> None:
        alice, _ = await with_trunk(world, PhoneScript(answer_after=110.0))
        call = alice.call(ELSEWHERE)
        await call.wait(Accepted, timeout=200)
        assert [p.status for p in call.saw(Progress)] == [180, 180]

    play(scenario)
