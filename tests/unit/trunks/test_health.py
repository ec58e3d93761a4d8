from __future__ import annotations

import itertools

from sent.trunks.health import TRANSITIONS, HealthState, Sign, TrunkHealth, observe, sign_of


def test_every_state_knows_every_sign():
    assert set(TRANSITIONS) == set(itertools.product(TrunkHealth, Sign))


def test_one_lost_ping_is_a_suspicion_and_two_are_an_outage():
    state = observe(HealthState(), Sign.FAILED, "No answer.", 100.0)
    assert (state.health, state.since, state.next_ping) == (TrunkHealth.SUSPECT, 100.0, 110.0)
    state = observe(state, Sign.FAILED, "No answer.", 110.0)
    assert (state.health, state.since, state.next_ping) == (TrunkHealth.DOWN, 110.0, 170.0)
    state = observe(state, Sign.FAILED, "No answer.", 170.0)
    assert (state.health, state.since) == (TrunkHealth.DOWN, 110.0)
    state = observe(state, Sign.ANSWERED, "200 OK", 230.0)
    assert (state.health, state.since, state.words) == (TrunkHealth.UP, 230.0, "200 OK")


def test_any_answer_but_503_means_that_the_carrier_is_there():
    assert [sign_of(s) for s in (200, 404, 405, 503)] == [Sign.ANSWERED] * 3 + [Sign.FAILED]
