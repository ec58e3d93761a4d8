from __future__ import annotations

from datetime import UTC, datetime
from uuid import UUID

import pytest

from sent.calls.ending import EndCode, Ending
from sent.calls.leg import LEG_TRANSITIONS, Leg, LegMove, LegState, Role
from sent.calls.party import Party, PartyKind
from sent.calls.ports import Answered, DigitPressed, HoldChanged, LegEnded, MediaRenegotiated, Ringing

AT = datetime(2026, 1, 1, tzinfo=UTC)
ID = UUID(int=1)
BUSY = Ending(EndCode.BUSY, "Bob is busy.")
LEGAL = {
    "new": {"start": "calling", "ringing": "ringing", "early": "early", "answered": "answered"},
    "calling": {"ringing": "ringing", "early": "early", "answered": "answered"},
    "ringing": {"early": "early", "answered": "answered"},
    "early": {"answered": "answered"},
    "answered": {},
    "ending": {},
    "ended": {},
}
for _state, _moves in LEGAL.items():
    if _state not in {"ending", "ended"}:
        _moves["stop"] = "ending"
    if _state != "ended":
        _moves["ended"] = "ended"


class Port:
    leg_id = ID
    party = Party(PartyKind.USER, "102", "Bob")


def leg_in(state=LegState.CALLING, role=Role.CALLEE):
    leg = Leg(Port(), role, AT)
    leg.state = state
    return leg


@pytest.mark.parametrize("state", list(LegState))
@pytest.mark.parametrize("move", list(LegMove))
def test_every_transition_the_legal_and_the_illegal(state, move):
    leg = leg_in(state)
    target = LEGAL[state.value].get(move.value)
    assert leg.move(move) is (target is not None)
    assert leg.state == (target or state)
    assert leg.ignored == (0 if target else 1)


def test_the_table_has_nothing_else():
    assert len(LEG_TRANSITIONS) == sum(len(moves) for moves in LEGAL.values())


def test_events_set_times_and_the_ending():
    leg = leg_in()
    assert leg.accept(Ringing(ID), AT)
    assert leg.accept(Answered(ID), AT)
    assert leg.accept(LegEnded(ID, BUSY), AT)
    assert (leg.ringing_at, leg.answered_at, leg.ended_at, leg.ending) == (AT, AT, AT, BUSY)


def test_what_comes_late_twice_or_out_of_order_is_counted():
    leg = leg_in()
    leg.accept(Answered(ID), AT)
    for event in (Ringing(ID), Ringing(ID, early_media=True), Answered(ID), HoldChanged(ID, held=False)):
        assert not leg.accept(event, AT)
    leg.accept(LegEnded(ID, BUSY), AT)
    for event in (
        Answered(ID),
        LegEnded(ID, BUSY),
        HoldChanged(ID, held=True),
        DigitPressed(ID, "1", 80),
        MediaRenegotiated(ID),
    ):
        assert not leg.accept(event, AT)
    assert leg.ignored == 9
    assert leg.state is LegState.ENDED


def test_a_leg_that_we_end_keeps_our_reason_and_ignores_a_crossing_answer():
    leg = leg_in(LegState.RINGING)
    leg.ending = Ending(EndCode.ANSWERED_ELSEWHERE, "Answered elsewhere.")
    leg.move(LegMove.STOP)
    assert not leg.accept(Answered(ID), AT)
    assert leg.accept(LegEnded(ID, BUSY), AT)
    assert leg.ending.code is EndCode.ANSWERED_ELSEWHERE


def test_the_callers_confirmation_comes_once():
    leg = leg_in(LegState.ANSWERED, Role.CALLER)
    assert leg.accept(Answered(ID), AT)
    assert leg.confirmed
    assert not leg.accept(Answered(ID), AT)


def test_hold_and_digits_count_only_while_there_is_audio():
    leg = leg_in(LegState.RINGING)
    assert not leg.accept(HoldChanged(ID, held=True), AT)
    assert not leg.accept(DigitPressed(ID, "1", 80), AT)
    leg.move(LegMove.ANSWERED)
    assert leg.accept(HoldChanged(ID, held=True), AT)
    assert leg.holding
    assert leg.accept(DigitPressed(ID, "1", 80), AT)
    assert leg.digits == 1
