from __future__ import annotations

import pytest

from sent.calls.ending import Blame, EndCode, Ending
from sent.gateway.endings import (
    Side,
    answer_for,
    cancelled_by_caller,
    from_end,
    from_failure,
    from_response,
    reason_header,
)

BOB = Side("Bob")
CARRIER = Side("Nordnet", is_carrier=True)


@pytest.mark.parametrize(
    ("status", "code", "words"),
    [
        (486, EndCode.BUSY, "Bob is busy."),
        (600, EndCode.BUSY, "Bob is busy."),
        (603, EndCode.DECLINED, "Bob declined the call."),
        (480, EndCode.NO_ANSWER, "Bob is not available at the moment."),
        (408, EndCode.NO_ANSWER, "Bob did not answer."),
        (488, EndCode.NO_COMMON_CODEC, "Bob's phone cannot do any of the offered media."),
        (500, EndCode.FAILED, "Bob's phone could not take the call: 500 Oops."),
    ],
)
def test_what_a_phone_says(status: int, code: EndCode, words: str):
    ending = from_response(status, "Oops", BOB)
    assert (ending.code, ending.words, ending.blame) == (code, words, Blame.CALLEE)
    assert (ending.sip_status, ending.by) == (status, "callee")


def test_a_carriers_refusal_keeps_its_own_words():
    ending = from_response(403, "Insufficient Balance", CARRIER, warning='399 pbx "top up first"')
    assert ending.words == "Carrier Nordnet refused the call: 403 Insufficient Balance (top up first)."
    assert (ending.code, ending.blame, ending.by) == (EndCode.CARRIER_REFUSED, Blame.CARRIER, "carrier")
    assert ending.warning == '399 pbx "top up first"'


@pytest.mark.parametrize("status", [486, 600, 603, 404, 480, 604, 607])
def test_what_the_callee_said_through_a_carrier_is_never_blamed_on_the_carrier(status: int):
    assert from_response(status, "", CARRIER).blame is Blame.CALLEE


@pytest.mark.parametrize("status", [401, 403, 407, 408, 488, 500, 502, 503, 504, 580])
def test_what_the_carrier_said_about_itself_lets_the_next_one_try(status: int):
    assert from_response(status, "", CARRIER).blame is Blame.CARRIER


def test_a_q850_cause_is_more_exact_than_the_status():
    busy = from_response(503, "Service Unavailable", CARRIER, reason='Q.850;cause=17;text="User busy"')
    assert (busy.code, busy.blame) == (EndCode.BUSY, Blame.CALLEE)
    no_route = from_response(404, "Not Found", CARRIER, reason="Q.850 ;cause=3")
    assert (no_route.code, no_route.blame) == (EndCode.CARRIER_REFUSED, Blame.CARRIER)
    assert no_route.sip_reason == "Q.850 ;cause=3"
    other = from_response(404, "Not Found", CARRIER, reason="SIP;cause=17")
    assert other.code is EndCode.NOT_FOUND


def test_call_rejected_means_whom_the_status_says():
    barred = from_response(403, "Forbidden", CARRIER, reason='Q.850;cause=21;text="This number is barred"')
    assert (barred.code, barred.blame, barred.by) == (EndCode.CARRIER_REFUSED, Blame.CALLEE, "carrier")
    assert barred.words == "Carrier Nordnet refused the call: 403 Forbidden (This number is barred)."
    declined = from_response(603, "Decline", CARRIER, reason="Q.850;cause=21")
    assert (declined.code, declined.blame) == (EndCode.DECLINED, Blame.CALLEE)


def test_a_far_sides_words_cannot_break_a_terminal_or_grow_without_end():
    words = from_response(403, "a\x1b[31m\r\n" + "b" * 500, CARRIER).words
    assert "\x1b" not in words
    assert "\n" not in words
    assert len(words) < 200


@pytest.mark.parametrize(
    ("cause", "side", "code", "blame"),
    [
        ("timeout", BOB, EndCode.OFFLINE, Blame.CALLEE),
        ("timeout", CARRIER, EndCode.CARRIER_UNREACHABLE, Blame.CARRIER),
        ("transport", CARRIER, EndCode.CARRIER_UNREACHABLE, Blame.CARRIER),
        ("cancelled", BOB, EndCode.CANCELLED, Blame.CALLER),
    ],
)
def test_silence(cause: str, side: Side, code: EndCode, blame: Blame):
    ending = from_failure(cause, side)
    assert (ending.code, ending.blame) == (code, blame)


def test_ends_of_an_established_call():
    assert from_end("bye", BOB, "callee").words == "Bob hung up."
    assert from_end("timer", BOB, "callee").code is EndCode.SESSION_EXPIRED
    assert from_end("unanswered", BOB, "caller").code is EndCode.NO_ANSWER
    assert from_end("ack_timeout", BOB, "caller").words == "Bob never confirmed the answer (no ACK)."
    assert cancelled_by_caller(BOB).blame is Blame.CALLER


@pytest.mark.parametrize(
    ("ending", "status"),
    [
        (Ending(EndCode.BUSY, "Bob is busy.", sip_status=486), 486),
        (Ending(EndCode.BUSY, "Bob is busy.", sip_status=600), 600),
        (Ending(EndCode.NOT_FOUND, "There is no extension 999.", blame=Blame.CALLER, sip_status=404), 404),
        (Ending(EndCode.OFFLINE, "Bob's phone is not connected."), 480),
        (Ending(EndCode.NO_ANSWER, "Bob did not answer.", sip_status=408), 480),
        (Ending(EndCode.CARRIER_REFUSED, "no", blame=Blame.CARRIER, sip_status=401), 502),
        (Ending(EndCode.CARRIER_REFUSED, "no", blame=Blame.CARRIER, sip_status=403), 403),
        (Ending(EndCode.CARRIER_UNREACHABLE, "no", blame=Blame.CARRIER, sip_status=503), 503),
        (Ending(EndCode.NOT_ALLOWED, "closed", blame=Blame.CALLER, sip_status=403), 403),
        (Ending(EndCode.FAILED, "oops", blame=Blame.CALLEE, sip_status=500), 500),
    ],
)
def test_the_caller_gets_a_status_that_means_the_same_to_it(ending: Ending, status: int):
    answer = answer_for(ending, "sent.example")
    assert answer.status == status
    assert ("Retry-After", "30") in answer.headers or status != 503


def test_the_caller_gets_our_words_and_the_far_sides_reason():
    ending = Ending(EndCode.NOT_FOUND, 'No "999" here.', sip_status=404)
    headers = dict(answer_for(ending, "sent.example").headers)
    assert headers["Warning"] == "399 sent.example \"No '999' here\""
    assert headers["Reason"] == "Q.850;cause=1;text=\"No '999' here\""
    passed_on = Ending(EndCode.BUSY, "b", sip_status=486, sip_reason="Q.850;cause=34", warning='304 x "audio"')
    headers = dict(answer_for(passed_on, "sent.example").headers)
    assert (headers["Reason"], headers["Warning"]) == ("Q.850;cause=34", '304 x "audio"')


def test_answered_elsewhere_keeps_phones_from_showing_a_missed_call():
    ending = Ending(EndCode.ANSWERED_ELSEWHERE, "x")
    assert reason_header(ending) == 'SIP;cause=200;text="Call completed elsewhere"'


def test_every_end_code_has_an_answer():
    for code in EndCode:
        assert 400 <= answer_for(Ending(code, "Words."), "h").status < 700
