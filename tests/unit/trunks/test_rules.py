from __future__ import annotations

import pytest
from tests.unit.trunks.trunk_factory import trunk

from sent.calls.ending import EndCode
from sent.trunks.models import CallerIdHeader, TrunkLimits
from sent.trunks.numbers import classify
from sent.trunks.rules import caller_identity, comes_from, refusal


def refused(dialled: str, **limits) -> str | None:
    ending = refusal(trunk(limits=TrunkLimits(**limits)), classify(dialled, "DE"))
    return ending.words if ending else None


def test_national_and_emergency_calls_are_open_by_default_and_nothing_else():
    assert refused("03023125000") is None
    assert refused("112") is None
    assert refused("+442079460000") == "International calls to GB are closed on trunk Nordnet."
    assert refused("09001234567") == "Premium and service numbers are closed on trunk Nordnet."
    assert refused("118332") == "Premium and service numbers are closed on trunk Nordnet."
    assert refused("12ab") == "12ab is not a telephone number."


def test_opening_one_country_opens_no_other_and_no_premium_there():
    assert refused("+442079460000", countries=("GB",)) is None
    assert refused("+12125550100", countries=("GB",)) is not None
    assert refused("+12125550100", countries=("*",)) is None
    assert refused("+449098790000", countries=("*",)) is not None
    assert refused("09001234567", premium=True) is None
    assert refused("+449098790000", premium=True) is not None


def test_a_closed_destination_is_403_and_the_callers_matter():
    ending = refusal(trunk(), classify("+442079460000", "DE"))
    assert ending is not None
    assert (ending.code, ending.sip_status) == (EndCode.NOT_ALLOWED, 403)


def test_caller_id_goes_where_the_carrier_reads_it():
    shown = caller_identity(trunk(), "+493023125001")
    assert (shown.from_user, shown.asserted) == ("+493023125001", None)
    asserted = trunk(caller_id_header=CallerIdHeader.ASSERTED)
    shown = caller_identity(asserted, "+493023125001")
    assert (shown.from_user, shown.asserted) == ("4930555", "+493023125001")
    hidden = caller_identity(asserted, None)
    assert (hidden.from_user, hidden.asserted, hidden.anonymous) == ("anonymous", "4930555", True)


@pytest.mark.parametrize(
    ("address", "matches"),
    [
        ("192.0.2.10", True),
        ("192.0.2.11", False),
        ("198.51.100.200", True),
        ("::ffff:192.0.2.10", True),
        ("2001:db8::5", True),
        ("2001:db9::5", False),
        ("not an address", False),
    ],
)
def test_sources_are_addresses_and_networks(address: str, matches: bool):
    sources = ("192.0.2.10", "198.51.100.0/24", "2001:db8::/32", "carrier.example")
    assert comes_from(sources, address) is matches
