from __future__ import annotations

import pytest

from sent.trunks.numbers import NumberKind, classify, to_e164


@pytest.mark.parametrize(
    ("dialled", "number", "kind", "country"),
    [
        ("03023125000", "+493023125000", NumberKind.NATIONAL, "DE"),
        ("+49 30 23125-000", "+493023125000", NumberKind.NATIONAL, "DE"),
        ("00442079460000", "+442079460000", NumberKind.INTERNATIONAL, "GB"),
        ("+12125550100", "+12125550100", NumberKind.INTERNATIONAL, "US"),
        ("09001234567", "+499001234567", NumberKind.PREMIUM, "DE"),
        ("112", "112", NumberKind.EMERGENCY, "DE"),
        ("110", "110", NumberKind.EMERGENCY, "DE"),
        ("118332", "118332", NumberKind.SHORT, "DE"),
        ("+4930", "+4930", NumberKind.INVALID, ""),
        ("hello", "hello", NumberKind.INVALID, ""),
        ("+" + "9" * 60, "+" + "9" * 60, NumberKind.INVALID, ""),
    ],
)
def test_what_a_dialled_number_is(dialled: str, number: str, kind: NumberKind, country: str):
    found = classify(dialled, "DE")
    assert (found.number, found.kind, found.country) == (number, kind, country)


def test_112_with_a_plus_is_no_emergency_number():
    assert classify("+112", "DE").kind is NumberKind.INVALID


def test_a_private_line_takes_digits_as_they_are():
    assert classify("200", "").kind is NumberKind.PRIVATE
    assert classify("2'00; drop", "").kind is NumberKind.INVALID


@pytest.mark.parametrize("written", ["+493023125000", "493023125000", "00493023125000", "03023125000"])
def test_every_way_in_which_carriers_write_our_number(written: str):
    assert to_e164(written, "DE") == "+493023125000"


def test_what_is_no_number_is_none():
    assert to_e164("alice", "DE") is None
    assert to_e164("200", "") == "200"
