from __future__ import annotations

import pytest

from sent.trunks.registration import RegistrationPhase, RegistrationState, refused, succeeded, unreachable


@pytest.mark.parametrize(("chance", "refresh_at"), [(0.0, 1300.0), (0.999999, 1540.0)])
def test_a_registration_is_refreshed_between_half_and_nine_tenths_of_its_time(chance: float, refresh_at: float):
    state = succeeded(RegistrationState(), 600, 1000.0, chance)
    assert state.next_at == pytest.approx(refresh_at, abs=0.1)
    assert state.registered_until == 1600.0
    assert state.words == "Registered for 600 seconds."


def test_a_carrier_that_names_no_expiry_gave_what_was_asked():
    assert succeeded(RegistrationState(ask=1800), None, 0.0, 0.5).registered_until == 1800.0


def test_the_pause_doubles_from_30_seconds_to_30_minutes_and_never_stops():
    state, now, pauses = RegistrationState(), 0.0, []
    for _ in range(10):
        state = unreachable(state, "No such host.", now, 0.5)
        pauses.append(state.next_at - now)
        now = state.next_at
    assert pauses == [30, 60, 120, 240, 480, 960, 1800, 1800, 1800, 1800]


def test_jitter_spreads_the_pause_by_a_quarter_both_ways():
    assert unreachable(RegistrationState(), "x", 0.0, 0.0).next_at == 22.5
    assert unreachable(RegistrationState(), "x", 0.0, 1.0).next_at == 37.5


def test_retry_after_wins_when_it_is_longer():
    assert refused(RegistrationState(), 503, "Busy", 0.0, 0.5, retry_after=300.0).next_at == 300.0
    assert refused(RegistrationState(), 503, "Busy", 0.0, 0.5, retry_after=1.0).next_at == 30.0


def test_a_refresh_that_fails_leaves_us_registered_until_the_promise_ends():
    state = succeeded(RegistrationState(), 600, 0.0, 0.5)
    state = refused(state, 500, "Oops", 420.0, 0.5)
    assert state.phase is RegistrationPhase.RETRYING
    assert state.is_registered(599.0)
    assert not state.is_registered(600.0)
    state = succeeded(state, 600, 450.0, 0.5)
    assert (state.phase, state.failures) == (RegistrationPhase.REGISTERED, 0)


def test_423_asks_for_longer_at_once_but_not_forever():
    state = refused(RegistrationState(), 423, "Interval Too Brief", 0.0, 0.5, min_expires=1800)
    assert (state.ask, state.next_at, state.failures) == (1800, 0.0, 0)
    again = refused(state, 423, "Interval Too Brief", 0.0, 0.5, min_expires=1800)
    assert again.next_at == 30.0


def test_words_name_the_carriers_answer_and_the_remedy():
    assert refused(RegistrationState(), 403, "Forb\r\nidden", 0.0, 0.5).words == (
        "The carrier answered 403 Forb  idden. "
        "The account may be blocked, or this address not allowed; ask the carrier."
    )
