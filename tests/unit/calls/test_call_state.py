from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sent.calls.state import MAX_HISTORY, TRANSITIONS, CallMove, CallState, CallStateMachine

AT = datetime(2026, 1, 1, tzinfo=UTC)
LEGAL = {
    "new": {"route": "routing", "end": "ended"},
    "routing": {"ring": "ringing", "early_media": "early", "answer": "connected", "end": "ended"},
    "ringing": {"route": "routing", "early_media": "early", "answer": "connected", "end": "ended"},
    "early": {"route": "routing", "answer": "connected", "end": "ended"},
    "connected": {"hold": "held", "end": "ended"},
    "held": {"resume": "connected", "end": "ended"},
    "ended": {},
}


def machine_in(state):
    machine = CallStateMachine(AT)
    machine.state = state
    return machine


@pytest.mark.parametrize("state", list(CallState))
@pytest.mark.parametrize("move", list(CallMove))
def test_every_transition_the_legal_and_the_illegal(state, move):
    machine = machine_in(state)
    target = LEGAL[state.value].get(move.value)
    later = AT + timedelta(seconds=7)
    if target is None:
        assert machine.move(move, later) is False
        assert machine.state is state
        assert machine.ignored == 1
        assert len(machine.history) == 1
    else:
        assert machine.move(move, later) is True
        assert machine.state == target
        assert machine.ignored == 0
        assert machine.history[-1].state == target
        assert machine.history[-1].at == later


def test_the_table_has_nothing_else():
    assert {(a.value, m.value): b.value for (a, m), b in TRANSITIONS.items()} == {
        (a, m): b for a, moves in LEGAL.items() for m, b in moves.items()
    }


def test_every_state_can_be_reached_and_left_to_the_end():
    reachable = {CallState.NEW} | set(TRANSITIONS.values())
    assert reachable == set(CallState)
    assert all((s, CallMove.END) in TRANSITIONS for s in CallState if s is not CallState.ENDED)


def test_a_call_held_all_day_keeps_a_bounded_history_with_its_end():
    machine = machine_in(CallState.CONNECTED)
    for n in range(1_000):
        machine.move(CallMove.HOLD, AT + timedelta(seconds=2 * n))
        machine.move(CallMove.RESUME, AT + timedelta(seconds=2 * n + 1))
    machine.move(CallMove.END, AT + timedelta(hours=5))
    assert len(machine.history) == MAX_HISTORY
    assert machine.history[0].state is CallState.NEW
    assert machine.history[-1].state is CallState.ENDED


def test_first_gives_when_a_state_was_first_entered():
    machine = CallStateMachine(AT)
    machine.move(CallMove.ROUTE, AT + timedelta(seconds=1))
    machine.move(CallMove.EARLY_MEDIA, AT + timedelta(seconds=2))
    machine.move(CallMove.ANSWER, AT + timedelta(seconds=3))
    machine.move(CallMove.HOLD, AT + timedelta(seconds=4))
    machine.move(CallMove.RESUME, AT + timedelta(seconds=5))
    assert machine.first(CallState.CONNECTED) == AT + timedelta(seconds=3)
    assert machine.first(CallState.RINGING, CallState.EARLY) == AT + timedelta(seconds=2)
    assert machine.first(CallState.ENDED) is None
