"""Whole calls between phones through the gateway and the real runner, and every way in which they fail or end."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sent.calls.ending import Blame, EndCode
from sent.gateway.dtmf import DTMF_RELAY
from sent.media.types import RtpSettings
from sent.sip.events import Accepted, Cancelled, Confirmed, Ended, Failed, OfferAnswered, Progress
from sent.sip.header_values import NameAddr
from sent.sip.uri import SipUri
from sent.testing.phone import Call, PhoneScript, WirePhone, direction_of
from tests.scenarios.gateway_world import SERVER, World, play

NEVER = PhoneScript(answer_after=None)


async def two_phones(world: World, script: PhoneScript | None = None) -> tuple[WirePhone, WirePhone]:
    alice = world.phone("alice", "10.0.1.1", "101")
    bob = world.phone("bob", "10.0.1.2", "102", script=script)
    assert (await alice.register()).status == 200
    assert (await bob.register()).status == 200
    return alice, bob


async def talking(world: World) -> tuple[Call, Call]:
    alice, bob = await two_phones(world)
    call = alice.call("102")
    await call.wait(Accepted)
    await bob.calls[0].wait(Confirmed)
    return call, bob.calls[0]


def settings_towards(world: World, host: str) -> RtpSettings:
    (found,) = [
        leg.settings
        for leg in world.engine.legs.values()
        if leg.settings and leg.settings.remote and leg.settings.remote[0] == host
    ]
    return found


def ending(world: World) -> tuple[EndCode, str]:
    assert world.record.ending is not None
    return world.record.ending.code, world.record.ending.words


def warning(failed: Failed) -> str:
    assert failed.response is not None
    return failed.response.headers.get("warning") or ""


def test_two_phones_register_and_talk():
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        assert [p.status for p in call.saw(Progress)] == [180]
        assert theirs.incoming is not None
        shown = theirs.incoming.from_
        assert (shown.display, getattr(shown.uri, "user", None)) == ("Alice", "101")
        b, a = list(world.engine.legs)  # the callee is called before the caller is answered
        assert (world.engine.hears(a), world.engine.hears(b)) == (f"leg {b}", f"leg {a}")
        settings = settings_towards(world, "10.0.1.1")
        assert (settings.remote, settings.latch_from) == (("10.0.1.1", 20002), ("10.0.1.1",))
        assert (settings.dtmf_receive, settings.dtmf_send) == (101, 101)
        call.hang_up()
        await theirs.wait(Ended)
        await world.settle()
        assert ending(world) == (EndCode.HUNG_UP, "Alice hung up.")
        assert [leg.codec for leg in world.record.legs] == ["PCMU", "PCMU"]
        assert [leg.user_agent for leg in world.record.legs] == ["WirePhone alice", "WirePhone bob"]
        assert world.record.answered_at is not None
        assert world.record.ladder is not None
        methods = [m.text.split()[0] for m in world.record.ladder.messages if not m.text.startswith("SIP/2.0")]
        assert methods.count("INVITE") == 3  # the challenged one, the one with credentials, and ours to Bob
        assert not any("response=" in m.text for m in world.record.ladder.messages)
        world.check_released()

    play(scenario)


def test_the_callee_hangs_up():
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        theirs.hang_up()
        await call.wait(Ended)
        await world.settle()
        assert ending(world) == (EndCode.HUNG_UP, "Bob hung up.")
        world.check_released()

    play(scenario)


@pytest.mark.parametrize(
    ("script", "status", "code", "words"),
    [
        (PhoneScript(reject_with=486), 486, EndCode.BUSY, "Bob is busy."),
        (PhoneScript(reject_with=603), 603, EndCode.DECLINED, "Bob declined the call."),
        (PhoneScript(reject_with=480), 480, EndCode.NO_ANSWER, "Bob is not available at the moment."),
        (
            PhoneScript(reject_with=500),
            500,
            EndCode.FAILED,
            "Bob's phone could not take the call: 500 Server Internal Error.",
        ),
    ],
)
def test_a_callee_that_refuses(script: PhoneScript, status: int, code: EndCode, words: str):
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world, script)
        failed = await alice.call("102").wait(Failed)
        assert failed.status == status
        await world.settle()
        assert ending(world) == (code, words)
        world.check_released()

    play(scenario)


def test_the_callees_reason_reaches_the_caller_and_the_record():
    async def scenario(world: World) -> None:
        said = ("Reason", 'Q.850;cause=17;text="in a meeting"')
        alice, _ = await two_phones(world, PhoneScript(reject_with=486, headers=(said,)))
        failed = await alice.call("102").wait(Failed)
        assert failed.response is not None
        assert failed.response.headers.get("reason") == said[1]
        await world.settle()
        assert world.record.ending is not None
        assert world.record.ending.sip_reason == said[1]
        assert world.record.ending.words == "Bob is busy (in a meeting)."

    play(scenario)


def test_an_unknown_extension_is_404_with_words():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        failed = await alice.call("999").wait(Failed)
        assert failed.status == 404
        assert warning(failed) == f'399 {SERVER[0]} "There is no number 999 here"'
        await world.settle()
        assert ending(world) == (EndCode.NOT_FOUND, "There is no number 999 here.")
        world.check_released()

    play(scenario)


def test_an_offline_callee_is_480_with_words():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        await bob.register(expires=0)
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 480
        assert "Bob's phone is not connected" in warning(failed)
        await world.settle()
        assert ending(world)[0] is EndCode.OFFLINE
        world.check_released()

    play(scenario)


def test_a_registered_phone_that_does_not_react_ends_as_offline():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        bob.vanish()
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 480
        await world.settle(80)
        assert ending(world)[0] is EndCode.OFFLINE
        world.check_released()

    play(scenario)


def test_nobody_answers():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world, NEVER)
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 480
        cancelled = await bob.calls[0].wait(Cancelled)
        assert cancelled.reason is not None
        assert (cancelled.reason.protocol, cancelled.reason.cause) == ("Q.850", 19)
        await world.settle()
        assert ending(world) == (EndCode.NO_ANSWER, "Bob did not answer within 30 s.")
        world.check_released()

    play(scenario)


def test_the_caller_gives_up():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world, NEVER)
        call = alice.call("102")
        await call.wait(Progress)
        call.cancel()
        await bob.calls[0].wait(Cancelled)
        await world.settle()
        assert ending(world) == (EndCode.CANCELLED, "Alice hung up before anyone answered.")
        world.check_released()

    play(scenario)


def test_a_cancel_that_crosses_the_answer_leaves_nothing_up():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world, PhoneScript(answer_after=None))
        call = alice.call("102")
        await call.wait(Progress)
        bob.calls[0].answer()
        call.cancel()
        await world.settle()
        assert call.last is not None
        assert bob.calls[0].last is not None
        code, words = ending(world)
        assert code in {EndCode.CANCELLED, EndCode.HUNG_UP}
        assert "Alice" in words or "caller" in words
        assert len(world.records.records) == 1
        world.check_released()

    play(scenario)


def test_the_first_of_two_phones_wins_and_the_other_is_told_so():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world, PhoneScript(answer_after=2.0))
        mobile = world.phone("mobile", "10.0.1.3", person=2, script=NEVER)
        await mobile.register()
        await alice.call("102").wait(Accepted)
        lost = await mobile.calls[0].wait(Cancelled)
        assert lost.reason is not None
        assert (lost.reason.protocol, lost.reason.cause) == ("SIP", 200)
        bob.calls[0].hang_up()
        await world.settle()
        codes = {leg.ending.code for leg in world.record.legs if leg.ending is not None}
        assert codes == {EndCode.HUNG_UP, EndCode.ANSWERED_ELSEWHERE}
        world.check_released()

    play(scenario)


def test_two_answers_at_once_leave_one_call():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        mobile = world.phone("mobile", "10.0.1.3", person=2)
        await mobile.register()
        call = alice.call("102")
        await call.wait(Accepted)
        await asyncio.sleep(5)
        up = [c for phone in (bob, mobile) for c in phone.calls if c.last is None]
        assert len(up) == 1
        assert len(world.engine.legs) == 2
        one, other = world.engine.legs
        assert (world.engine.hears(one), world.engine.hears(other)) == (f"leg {other}", f"leg {one}")
        winner = "10.0.1.2" if up[0] in bob.calls else "10.0.1.3"
        ends = [leg.settings.remote for leg in world.engine.legs.values() if leg.settings is not None]
        assert sorted(end[0] for end in ends if end is not None) == ["10.0.1.1", winner]
        call.hang_up()
        await world.settle()
        assert ending(world) == (EndCode.HUNG_UP, "Alice hung up.")
        world.check_released()

    play(scenario)


def test_hold_and_resume_with_exact_directions_and_music_for_the_other():
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        held = [
            leg for leg in world.engine.legs.values() if leg.settings and leg.settings.remote == ("10.0.1.2", 20002)
        ]
        for count, (direction, answer) in enumerate((("sendonly", "recvonly"), ("inactive", "inactive")), start=1):
            call.hold(direction)
            answered = await call.wait(OfferAnswered, count)
            assert direction_of(answered.sdp) == answer
            assert f"c=IN IP4 {SERVER[0]}".encode() in answered.sdp
            await asyncio.sleep(1)
            assert (world.engine.hears(held[0].leg) or "").startswith(("tone", "file"))
        call.unhold()
        answered = await call.wait(OfferAnswered, 3)
        assert direction_of(answered.sdp) == "sendrecv"
        await asyncio.sleep(1)
        assert (world.engine.hears(held[0].leg) or "").startswith("leg")
        assert theirs.last is None
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def test_resume_by_an_invite_without_sdp():
    async def scenario(world: World) -> None:
        call, _ = await talking(world)
        call.hold()
        await call.wait(OfferAnswered)
        call._media.direction = "sendrecv"
        call.ask_for_offer()
        await asyncio.sleep(2)
        settings = settings_towards(world, "10.0.1.1")
        assert (settings.may_send, settings.may_receive) == (True, True)
        assert all((world.engine.hears(leg) or "").startswith("leg") for leg in world.engine.legs)
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def test_media_follows_a_new_port_in_mid_call():
    async def scenario(world: World) -> None:
        call, _ = await talking(world)
        call._media.port = 33_000
        call.unhold()
        await call.wait(OfferAnswered)
        assert settings_towards(world, "10.0.1.1").remote == ("10.0.1.1", 33_000)
        call.update()
        await call.wait(OfferAnswered, 2)
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def test_a_caller_that_leaves_the_offer_to_us():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        call = alice.call("102", late_offer=True)
        accepted = await call.wait(Accepted)
        assert accepted.offer_pending
        assert accepted.sdp is not None
        assert b"opus/48000/2" in accepted.sdp
        await bob.calls[0].wait(Confirmed)
        await asyncio.sleep(1)
        assert settings_towards(world, "10.0.1.1").remote == ("10.0.1.1", 20002)
        call.hang_up()
        await world.settle()
        assert ending(world) == (EndCode.HUNG_UP, "Alice hung up.")
        world.check_released()

    play(scenario)


def test_early_media_reaches_the_caller_reliably():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world, PhoneScript(reliable=True, answer_after=5.0))
        call = alice.call("102")
        progress = await call.wait(Progress)
        while progress.sdp is None:
            progress = await call.wait(Progress, len(call.saw(Progress)) + 1)
        assert (progress.status, progress.sdp is not None) == (183, True)
        await asyncio.sleep(1)
        assert all((world.engine.hears(leg) or "").startswith("leg") for leg in world.engine.legs)
        await call.wait(Accepted)
        await bob.calls[0].wait(Confirmed)
        assert "PRACK" in " ".join(world.wire.start_lines())
        call.hang_up()
        await world.settle()
        assert ending(world)[0] is EndCode.HUNG_UP
        world.check_released()

    play(scenario)


def invite_with(phone: WirePhone, callee: str, sdp: bytes) -> Call:
    session = phone.agent.invite(
        SipUri("sip", phone.domain, callee),
        from_=NameAddr(phone.address_of_record),
        targets=[phone.port.target(SERVER)],
        now=phone.now(),
        offer=sdp,
        login=phone.login,
    )
    call = phone._add(session, phone._media())
    phone.port.touch()
    return call


SDP = (
    "v=0\r\no=- 1 1 IN IP4 10.0.1.1\r\ns=-\r\nc=IN IP4 10.0.1.1\r\nt=0 0\r\n"
    "m=audio 20000 RTP/AVP 18\r\na=rtpmap:18 G729/8000\r\n"
)


def test_no_common_codec_is_488_naming_the_media_line_and_rings_nobody():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        failed = await invite_with(alice, "102", SDP.encode()).wait(Failed)
        assert failed.status == 488
        assert warning(failed).startswith(f'305 {SERVER[0]} "media line 1 (audio RTP/AVP) has no common codec')
        assert "G729" in warning(failed)
        await world.settle()
        assert ending(world)[0] is EndCode.NO_COMMON_CODEC
        assert "media line 1" in ending(world)[1]
        assert world.record.ending is not None
        assert world.record.ending.blame is Blame.CALLER
        assert bob.calls == []
        world.check_released()

    play(scenario)


@pytest.mark.parametrize("sdp", [b"v=0\r\nrubbish", b"\x00\xff\xfe", SDP.replace("audio 20000", "audio 0").encode()])
def test_an_offer_that_cannot_be_read_ends_the_call_and_nothing_else(sdp: bytes):
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        failed = await invite_with(alice, "102", sdp).wait(Failed)
        assert failed.status in {400, 488}
        assert bob.calls == []
        await world.settle()
        world.check_released()
        await alice.call("102").wait(Accepted)

    play(scenario)


def test_video_is_answered_with_port_0():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        offer = SDP.replace("AVP 18", "AVP 0").replace("a=rtpmap:18 G729/8000\r\n", "m=video 20002 RTP/AVP 99\r\n")
        accepted = await invite_with(alice, "102", offer.encode()).wait(Accepted)
        assert accepted.sdp is not None
        assert b"m=video 0 " in accepted.sdp

    play(scenario)


def test_offered_srtp_is_taken():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        key = "inline:" + "A" * 40
        offer = SDP.replace("RTP/AVP 18", "RTP/SAVP 0").replace(
            "a=rtpmap:18 G729/8000\r\n", f"a=crypto:1 AES_CM_128_HMAC_SHA1_80 {key}\r\n"
        )
        accepted = await invite_with(alice, "102", offer.encode()).wait(Accepted)
        assert accepted.sdp is not None
        assert b"m=audio 30002 RTP/SAVP 0" in accepted.sdp
        assert b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in accepted.sdp
        settings = settings_towards(world, "10.0.1.1")
        assert settings.local_srtp is not None
        assert settings.remote_srtp is not None
        assert settings.remote_srtp.key_salt == bytes(30)
        assert settings_towards(world, "10.0.1.2").local_srtp is None

    play(scenario)


def test_a_phone_that_vanishes_is_noticed_by_the_session_timer():
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        call.phone.vanish()
        await theirs.wait(Ended, timeout=4000)
        await world.settle()
        code, words = ending(world)
        assert code is EndCode.SESSION_EXPIRED
        assert "Alice" in words
        world.check_released()

    play(scenario)


def test_a_phone_that_sends_no_audio_any_more_is_noticed_by_the_media():
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        call.phone.vanish()
        for ms in (5_000, 30_000):
            world.engine.fall_silent(list(world.engine.legs)[1], ms)
        await theirs.wait(Ended, timeout=100)
        await world.settle(80)
        assert ending(world)[0] is EndCode.MEDIA_LOST
        world.check_released()

    play(scenario)


def test_calls_live_for_hours_by_refreshing_their_sessions():
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        await asyncio.sleep(4 * 3600)
        assert call.last is None
        assert theirs.last is None
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


def test_digits_arrive_once_by_info_or_rtp_or_both():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        call = alice.call("600")
        await call.wait(Accepted)
        await asyncio.sleep(1)
        (leg,) = world.engine.legs
        call.info(DTMF_RELAY, b"Signal=5\r\nDuration=160\r\n")
        await asyncio.sleep(0.1)
        world.engine.press(leg, "5")  # the same press, by RFC 4733
        await asyncio.sleep(1)
        world.engine.press(leg, "77")
        call.info("application/dtmf", b"#")
        await asyncio.sleep(1)
        call.hang_up()
        await world.settle()
        assert world.record.digits == 4
        world.check_released()

    play(scenario)


def test_the_echo_test_answers_and_echoes():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world)
        call = alice.call("600")
        await call.wait(Accepted)
        await asyncio.sleep(1)
        (leg,) = world.engine.legs
        assert world.engine.hears(leg) == f"leg {leg}"
        call.hang_up()
        await world.settle()
        world.check_released()

    play(scenario)


@pytest.mark.parametrize("seed", [1, 2, 3, 4, 5])
def test_a_bad_network_repeats_loses_and_reorders_everything(seed: int):
    async def scenario(world: World) -> None:
        call, theirs = await talking(world)
        call.hold()
        await call.wait(OfferAnswered)
        call.unhold()
        await call.wait(OfferAnswered, 2)
        await asyncio.sleep(10)
        call.hang_up()
        await theirs.wait(Ended)
        await world.settle(120)
        assert len(world.records.records) == 1
        assert ending(world) == (EndCode.HUNG_UP, "Alice hung up.")
        assert [len(phone.calls) for phone in world.phones] == [1, 1]
        world.check_released()

    play(scenario, seed=seed, loss=0.15, duplicate=0.5, jitter=0.3)


def test_a_phone_on_tls_is_asked_for_srtp_and_then_for_best_effort():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world, PhoneScript(reject_with=488))
        user_id = world.credentials.devices["bob"].user_id
        (binding,) = world.registrations.of_user(user_id)
        secure = replace(binding, transport="TLS", flow=None, contact="sip:bob@10.0.1.2:5060")
        await bob.register(expires=0)
        world.bindings.restore([secure])
        await alice.call("102").wait(Failed)
        offers = [call.incoming.body for call in bob.calls if call.incoming is not None]
        assert [b"RTP/SAVP " in offer for offer in offers] == [True, False]
        assert all(b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:" in offer for offer in offers)
        await world.settle()
        assert ending(world)[0] is EndCode.NO_COMMON_CODEC
        world.check_released()

    play(scenario)
