"""Calls between phones message by message: what each side is told, and what the record says about it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from sent.calls.history import CallDetail
from tests.interop import needs, sipp
from tests.interop.product import Account, House
from tests.interop.sipp import Messages, callee, direction, header, steps

pytestmark = [pytest.mark.interop, needs.SIPP]

RINGS = (steps.rung(), steps.answer("180 Ringing"))
ANSWERS = (*RINGS, steps.answer("200 OK", body=steps.sdp()))


async def alice(house: House, folder: Path, *parts: str) -> Messages:
    return await sipp.run(folder, house.product, house.alice, *parts)


async def test_a_call_with_a_password_is_connected(house: House, tmp_path: Path) -> None:
    async with callee(tmp_path, house.product, house.bob, *ANSWERS, steps.take("BYE")) as bob:
        await alice(
            house, tmp_path,
            steps.call("102", house.alice.user), steps.answered(), steps.pause(0.5), steps.hang_up(),
        )  # fmt: skip
        seen = await bob.done()
    record = await house.record()
    invite = seen.request("INVITE")
    assert '"Alice"' in header(invite, "From") or "Alice <" in header(invite, "From")
    assert "sip:101@" in header(invite, "From")
    assert house.alice.user not in invite, "a phone's login is nobody else's business"
    assert "cause=16" in header(seen.request("BYE"), "Reason")
    assert (record.call.end_code, record.call.end_words) == ("hung_up", "Alice hung up.")
    assert [leg.codec for leg in record.legs] == ["PCMU", "PCMU"]


async def test_who_shows_no_password_is_challenged_and_nothing_else(house: House, tmp_path: Path) -> None:
    seen = await alice(house, tmp_path, steps.invite("102", house.alice.user, 1, steps.sdp()), steps.final(407, "102"))
    challenge = header(seen.answer(407), "Proxy-Authenticate")
    assert 'qop="auth"' in challenge
    assert "algorithm=MD5" in challenge
    assert await house.records(0) == []


async def test_a_wrong_password_is_challenged_again(house: House, tmp_path: Path) -> None:
    wrong = Account("101", house.alice.user, "not-this-one")
    nobody = Account("101", "nobody-here", "not-this-one")
    for account in (wrong, nobody):
        seen = await sipp.run(
            tmp_path, house.product, account, steps.call("102", account.user), steps.refused(407, "102")
        )
        assert "stale=true" not in header(seen.answer(407, "2 INVITE"), "Proxy-Authenticate").lower()
    assert await house.records(0) == []


async def test_from_must_belong_to_the_device(house: House, tmp_path: Path) -> None:
    """Neither another device's user name nor another's extension."""
    for claimed in (house.bob.user, "102"):
        seen = await alice(
            house, tmp_path, steps.call("102", house.alice.user, from_user=claimed), steps.refused(403, "102")
        )
        assert "From does not belong to this device." in header(seen.answer(403), "Warning")
    seen = await alice(house, tmp_path, steps.call("700", house.alice.user, from_user="101"), steps.refused(404, "700"))
    assert seen.answer(404)


async def test_an_unknown_extension_is_404_with_words(house: House, tmp_path: Path) -> None:
    seen = await alice(house, tmp_path, steps.call("777", house.alice.user), steps.refused(404, "777"))
    record = await house.record()
    assert "There is no number 777" in header(seen.answer(404), "Warning")
    assert (record.call.end_code, record.call.end_status, record.call.disposition) == ("not_found", 404, "refused")
    assert "There is no number 777 here" in (record.call.end_words or "")


async def test_who_is_not_connected_is_480_with_words(house: House, tmp_path: Path) -> None:
    seen = await alice(house, tmp_path, steps.call("102", house.alice.user), steps.refused(480, "102"))
    record = await house.record()
    assert "Bob's phone is not connected" in header(seen.answer(480), "Warning")
    assert (record.call.end_code, record.call.end_words) == ("offline", "Bob's phone is not connected.")


@pytest.mark.parametrize(
    ("answer", "headers", "told", "code", "words"),
    [
        pytest.param("486 Busy Here", (), 486, "busy", "Bob is busy.", id="busy"),
        pytest.param("600 Busy Everywhere", (), 600, "busy", "Bob is busy.", id="busy-everywhere"),
        pytest.param("603 Decline", (), 603, "declined", "Bob declined the call.", id="declines"),
        pytest.param("480 Temporarily Unavailable", (), 480, "no_answer", "Bob is not available", id="unavailable"),
        pytest.param(
            "403 Forbidden",
            ('Reason: Q.850;cause=21;text="no calls today"', 'Warning: 399 phone.test "do not disturb"'),
            603, "declined", "no calls today", id="forbidden",
        ),
        pytest.param("488 Not Acceptable Here", (), 488, "no_common_codec", "Bob's phone", id="no-codec"),
    ],
)  # fmt: skip
async def test_what_the_callee_answers_is_kept(
    house: House, tmp_path: Path, answer: str, headers: tuple[str, ...], told: int, code: str, words: str
) -> None:
    async with callee(tmp_path, house.product, house.bob, *RINGS, steps.answer(answer, *headers)) as bob:
        await alice(house, tmp_path, steps.call("102", house.alice.user), steps.refused(told, "102"))
        await bob.done()
    record = await house.record()
    assert (record.call.end_code, record.call.end_by) == (code, "callee")
    assert words in (record.call.end_words or "")
    leg = record.legs[1]
    assert leg.end_status == int(answer[:3])
    if headers:
        assert (leg.end_reason, leg.end_warning) == tuple(line.partition(": ")[2] for line in headers)
        assert (record.call.end_reason, record.call.end_warning) == (leg.end_reason, leg.end_warning)
    assert record.call.answered_at is None


async def test_a_caller_who_gives_up_cancels_the_ringing(house: House, tmp_path: Path) -> None:
    async with callee(tmp_path, house.product, house.bob, *RINGS, steps.cancelled()) as bob:
        await alice(
            house, tmp_path,
            steps.call("102", house.alice.user), steps.provisional(required=180), steps.pause(0.3), steps.cancel("102"),
        )  # fmt: skip
        await bob.done()
    record = await house.record()
    assert (record.call.end_code, record.call.end_by, record.call.disposition) == ("cancelled", "caller", "missed")


async def test_of_two_phones_the_loser_learns_that_it_was_answered(house: House, tmp_path: Path) -> None:
    answers = (*RINGS, steps.pause(0.5), steps.answer("200 OK", body=steps.sdp()), steps.take("BYE"))
    async with (
        callee(tmp_path, house.product, house.bob_second, *RINGS, steps.cancelled()) as sofa,
        callee(tmp_path, house.product, house.bob, *answers) as desk,
    ):
        await alice(house, tmp_path, steps.call("102", house.alice.user), steps.answered(), steps.hang_up())
        lost = await sofa.done()
        await desk.done()
    reason = header(lost.request("CANCEL"), "Reason")
    assert "SIP;cause=200" in reason.replace(" ", ""), "else the phone lists a missed call (RFC 3326)"
    record = await house.record()
    assert sorted(leg.end_code or "" for leg in record.legs[1:]) == ["answered_elsewhere", "hung_up"]


async def test_a_late_offer_is_made_in_the_200_and_answered_in_the_ack(house: House, tmp_path: Path) -> None:
    async with callee(tmp_path, house.product, house.bob, *ANSWERS, steps.take("BYE")) as bob:
        seen = await alice(
            house, tmp_path,
            steps.call("102", house.alice.user, late=True), steps.answered(body=steps.sdp()), steps.pause(0.5),
            steps.hang_up(),
        )  # fmt: skip
        await bob.done()
    assert "m=audio" in seen.answer(200, "2 INVITE")
    record = await house.record()
    assert record.call.end_code == "hung_up"
    assert [leg.codec for leg in record.legs] == ["PCMU", "PCMU"]


@pytest.mark.parametrize(("asked", "answered"), [("sendonly", "recvonly"), ("inactive", "inactive")])
async def test_hold_and_resume_are_answered_exactly(house: House, tmp_path: Path, asked: str, answered: str) -> None:
    async with callee(tmp_path, house.product, house.bob, *ANSWERS, steps.take("BYE")) as bob:
        seen = await alice(
            house, tmp_path,
            steps.call("102", house.alice.user), steps.answered(), steps.pause(0.3),
            steps.reinvite(3, steps.sdp(f"a={asked}", version=2)), steps.pause(0.3),
            steps.reinvite(4, steps.sdp("a=sendrecv", version=3)), steps.pause(0.3),
            steps.hang_up(5),
        )  # fmt: skip
        heard = await bob.done()
    assert [direction(seen.answer(200, f"{cseq} INVITE")) for cseq in (2, 3, 4)] == ["sendrecv", answered, "sendrecv"]
    assert not [m for m in heard.received if m.startswith("INVITE ")][1:], "the held side is played to, not asked"
    assert _states(await house.record()) == ["connected", "held", "connected"]


async def test_a_callee_holds_by_update_too(house: House, tmp_path: Path) -> None:
    bob_does = (
        *ANSWERS, steps.pause(0.3),
        steps.ask("UPDATE", 1, steps.sdp("a=sendonly", version=2)), steps.pause(0.3),
        steps.ask("UPDATE", 2, steps.sdp("a=sendrecv", version=3)), steps.pause(0.3),
        steps.ask("BYE", 3),
    )  # fmt: skip
    async with callee(tmp_path, house.product, house.bob, *bob_does) as bob:
        await alice(house, tmp_path, steps.call("102", house.alice.user), steps.answered(), steps.take("BYE"))
        seen = await bob.done()
    assert [direction(seen.answer(200, f"{cseq} UPDATE")) for cseq in (1, 2)] == ["recvonly", "sendrecv"]
    record = await house.record()
    assert _states(record) == ["connected", "held", "connected"]
    assert (record.call.end_code, record.call.end_by) == ("hung_up", "callee")


async def test_early_media_is_acknowledged_with_prack(house: House, tmp_path: Path) -> None:
    bob_does = (
        steps.rung(),
        steps.answer("183 Session Progress", "Require: 100rel", "RSeq: 71", body=steps.sdp()),
        steps.take("PRACK"), steps.pause(0.5),
        steps.answer("200 OK", body=steps.sdp(), later=True), steps.take("BYE"),
    )  # fmt: skip
    async with callee(tmp_path, house.product, house.bob, *bob_does) as bob:
        seen = await alice(
            house, tmp_path,
            steps.call("102", house.alice.user), steps.provisional(required=183), steps.answered(), steps.pause(0.3),
            steps.hang_up(),
        )  # fmt: skip
        asked = await bob.done()
    assert "100rel" in header(asked.request("INVITE"), "Supported")
    assert header(asked.request("PRACK"), "RAck").split()[0] == "71"
    assert "m=audio" in seen.answer(183), "the caller hears the early media"
    assert "early" in [state["state"] for state in (await house.record()).call.states]


async def test_a_caller_that_requires_100rel_gets_reliable_ringing(house: House, tmp_path: Path) -> None:
    bob_does = (*RINGS, steps.pause(0.5), steps.answer("200 OK", body=steps.sdp()), steps.take("BYE"))
    async with callee(tmp_path, house.product, house.bob, *bob_does) as bob:
        prack = steps.inside("PRACK", 3, headers=("RAck: [$rseq] 2 INVITE",)) + '<recv response="200"/>\n'
        rings = (
            '<recv response="100" optional="true"/>\n<recv response="180" rrs="true"><action><ereg regexp="[0-9]+" '
            'search_in="hdr" header="RSeq:" check_it="true" assign_to="rseq"/></action></recv>\n'
        )
        seen = await alice(
            house, tmp_path,
            steps.call("102", house.alice.user, headers=("Require: 100rel",)), rings, prack,
            steps.answered(2), steps.hang_up(4),
        )  # fmt: skip
        await bob.done()
    assert "100rel" in header(seen.answer(180), "Require")
    assert (await house.record()).call.end_code == "hung_up"


async def test_no_common_codec_is_488_and_names_the_line(house: House, tmp_path: Path) -> None:
    async with callee(tmp_path, house.product, house.bob, *ANSWERS):
        offer = steps.sdp(codec="18 G729/8000")
        seen = await alice(house, tmp_path, steps.call("102", house.alice.user, offer=offer), steps.refused(488, "102"))
    record = await house.record()
    warning = header(seen.answer(488), "Warning")
    assert warning.startswith("305 ")
    assert "audio" in warning
    assert "G729" in warning
    assert (record.call.end_code, record.call.end_status) == ("no_common_codec", 488)
    assert record.call.end_warning == warning
    assert "G729" in (record.call.end_words or "")


@pytest.mark.parametrize(
    ("headers", "agreed"),
    [
        pytest.param(("Supported: timer", "Session-Expires: 120;refresher=uac"), "120;refresher=uac", id="caller"),
        pytest.param(("Supported: timer", "Session-Expires: 120;refresher=uas"), "120;refresher=uas", id="callee"),
        pytest.param((), "1800;refresher=uas", id="caller-knows-no-timers"),
    ],
)
async def test_session_timers_are_agreed_with_the_caller(
    house: House, tmp_path: Path, headers: tuple[str, ...], agreed: str
) -> None:
    async with callee(tmp_path, house.product, house.bob, *ANSWERS, steps.take("BYE")) as bob:
        seen = await alice(
            house, tmp_path, steps.call("102", house.alice.user, headers=headers), steps.answered(), steps.hang_up()
        )
        asked = await bob.done()
    assert header(seen.answer(200, "2 INVITE"), "Session-Expires") == agreed
    assert "timer" in header(asked.request("INVITE"), "Supported")
    assert header(asked.request("INVITE"), "Session-Expires")


async def test_a_session_that_is_too_short_is_422(house: House, tmp_path: Path) -> None:
    headers = ("Supported: timer", "Session-Expires: 60")
    parts = (steps.invite("102", house.alice.user, 1, steps.sdp(), headers), steps.final(422, "102"))
    seen = await alice(house, tmp_path, *parts)
    assert header(seen.answer(422), "Min-SE") == "90"


async def test_a_refresh_without_sdp_changes_nothing(house: House, tmp_path: Path) -> None:
    async with callee(tmp_path, house.product, house.bob, *ANSWERS, steps.take("BYE")) as bob:
        headers = ("Supported: timer", "Session-Expires: 90;refresher=uac")
        refresh = steps.inside("UPDATE", 3, headers=headers) + '<recv response="200"/>\n'
        seen = await alice(
            house, tmp_path,
            steps.call("102", house.alice.user, headers=headers), steps.answered(), refresh, steps.hang_up(4),
        )  # fmt: skip
        await bob.done()
    refreshed = seen.answer(200, "3 UPDATE")
    assert header(refreshed, "Session-Expires") == "90;refresher=uac"
    assert "m=audio" not in refreshed
    assert _states(await house.record()) == ["connected"]


def _states(record: CallDetail) -> list[str]:
    """From the first words that were spoken to the last."""
    states = [state["state"] for state in record.call.states]
    return [state for state in states if state in {"connected", "held"}]


async def test_calls_at_once_are_kept_apart(house: House, tmp_path: Path) -> None:
    """Both call the echo test, at the same time, from the same address."""
    accounts = (house.alice, house.bob, house.bob_second)
    await asyncio.gather(
        *(
            sipp.run(
                tmp_path, house.product, account,
                steps.call("600", account.user), steps.answered(), steps.pause(0.5), steps.hang_up(),
            )
            for account in accounts
        )
    )  # fmt: skip
    records = await house.records(3)
    assert sorted(record.call.caller_number for record in records) == ["101", "102", "102"]
    assert {record.call.end_words for record in records} == {"Alice hung up.", "Bob hung up."}


async def test_a_call_over_tcp(house: House, tmp_path: Path) -> None:
    seen = await sipp.run(
        tmp_path,
        house.product,
        house.alice,
        steps.call("600", house.alice.user),
        steps.answered(),
        steps.pause(0.3),
        steps.hang_up(),
        transport="t1",
    )
    assert "transport=tcp" in header(seen.answer(200, "2 INVITE"), "Contact").lower()
    record = await house.record()
    assert (record.call.end_code, record.legs[0].transport) == ("hung_up", "TCP")
