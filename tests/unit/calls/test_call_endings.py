from __future__ import annotations

import pytest

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.endings import best, completed, settles_all
from sent.calls.models import Disposition, disposition


def ending(code, status=None, blame=Blame.NONE):
    return Ending(code, f"{code}.", blame=blame, sip_status=status)


@pytest.mark.parametrize(
    ("met", "heard"),
    [
        ([("busy", 486), ("declined", 603)], "declined"),
        ([("offline", 480), ("busy", 486)], "busy"),
        ([("carrier_unreachable", 503), ("no_answer", 480)], "no_answer"),
        ([("carrier_unreachable", 503), ("carrier_refused", 403)], "carrier_refused"),
        ([("failed", 500), ("not_found", 404)], "not_found"),
        ([("failed", None), ("failed", 500)], "failed"),
        ([("not_found", 604), ("busy", 486)], "not_found"),
    ],
)
def test_the_best_ending_whatever_the_order(met, heard):
    endings = [ending(EndCode(code), status) for code, status in met]
    assert best(endings).code == heard
    assert best(endings[::-1]).code == heard


def test_among_equals_a_6xx_then_the_lowest_class_then_the_first():
    codes = [ending(EndCode.FAILED, s) for s in (503, 404, 600, 488)]
    assert best(codes).sip_status == 600
    assert best([codes[0], codes[3], codes[1]]).sip_status == 488


def test_settles_all():
    assert settles_all(ending(EndCode.DECLINED))
    assert settles_all(ending(EndCode.BUSY, 600))
    assert not settles_all(ending(EndCode.BUSY, 486))


@pytest.mark.parametrize("code", list(EndCode))
def test_completed_gives_a_final_refusal_or_none_and_keeps_what_was_received(code):
    done = completed(ending(code))
    assert done.sip_status is None or 400 <= done.sip_status <= 699
    assert completed(ending(code, 489)).sip_status == 489
    assert completed(ending(code), answered=True).sip_status is None
    assert completed(ending(code, blame=Blame.CARRIER)).blame is Blame.CARRIER


def test_blame_follows_from_the_code_where_nobody_said():
    assert completed(ending(EndCode.BUSY)).blame is Blame.CALLEE
    assert completed(ending(EndCode.CARRIER_UNREACHABLE)).blame is Blame.CARRIER
    assert completed(ending(EndCode.FAILED)).blame is Blame.US


@pytest.mark.parametrize("code", list(EndCode))
def test_an_answered_call_is_answered_however_it_ended(code):
    assert disposition(code, answered=True) is Disposition.ANSWERED
    assert disposition(code, answered=False) is not Disposition.ANSWERED


def test_dispositions():
    assert disposition(EndCode.NO_ANSWER, answered=False) is Disposition.MISSED
    assert disposition(EndCode.BUSY, answered=False) is Disposition.BUSY
    assert disposition(EndCode.NOT_FOUND, answered=False) is Disposition.REFUSED
    assert disposition(EndCode.FAILED, answered=False) is Disposition.FAILED
