"""Numbers as people, phones and carriers write them."""

from __future__ import annotations

import subprocess
import sys

import pytest

from sent.kit.e164 import check_region, country_of, is_e164, is_emergency, is_international, normalise, parse_number
from sent.kit.errors import BadInput


@pytest.mark.parametrize(
    ("text", "region", "expected"),
    [
        ("030 901820", "DE", "+4930901820"),
        ("+49 (30) 90 18 20", "DE", "+4930901820"),
        ("0049 30 901820", "DE", "+4930901820"),
        ("011 49 30 901820", "US", "+4930901820"),
        ("(212) 736-5000", "US", "+12127365000"),
        ("1-212-736-5000", "US", "+12127365000"),
        ("020 7946 0018", "GB", "+442079460018"),
    ],
)
def test_what_is_dialled_becomes_e164(text: str, region: str, expected: str) -> None:
    assert normalise(text, region) == expected


@pytest.mark.parametrize(
    "text", ["", "101", "112", "sip:alice@example.com", "+", "12\x0034567", "+49" + "1" * 40, "٠٣٠٩٠١٨٢٠"]
)
def test_what_is_no_number_is_none_and_an_error(text: str) -> None:
    assert parse_number(text, "DE") is None
    with pytest.raises(BadInput, match=r"\+<country><number>"):
        normalise(text, "DE")


def test_country_and_validity() -> None:
    number = parse_number("+14165550123", "US")
    assert number is not None
    assert (number.country_code, number.region) == (1, "CA")
    assert country_of("+4930901820") == "DE"
    assert country_of("030901820") is None


@pytest.mark.parametrize(
    ("e164", "home", "international"),
    [
        ("+4930901820", "DE", False),
        ("+4930901820", "US", True),
        ("+12127365000", "US", False),
        ("+14168696500", "US", True),  # Canada, under the same country code
        ("+18765551234", "US", True),  # Jamaica: the classic of toll fraud
        ("+881612345678", "US", True),  # satellite, of no country
        ("+99999999999", "DE", True),
        ("garbage", "DE", True),
    ],
)
def test_international_is_relative_to_home_and_true_when_in_doubt(e164: str, home: str, international: bool) -> None:
    assert is_international(e164, home) is international


def test_emergency_numbers_of_the_region() -> None:
    assert is_emergency("112", "DE")
    assert is_emergency("911", "US")
    assert not is_emergency("911", "DE")
    assert not is_emergency("1124", "DE")
    assert not is_emergency("+112", "DE")


def test_form_and_region_checks() -> None:
    assert is_e164("+4930901820")
    assert not any(map(is_e164, ("4930901820", "+0301234567", "+49 30 1", "+123", "+1234567890123456", "+49301\n")))
    assert check_region("DE") == "DE"
    for wrong in ("de", "XX", "", "DEU"):
        with pytest.raises(BadInput):
            check_region(wrong)


def test_importing_the_module_does_not_import_the_metadata() -> None:
    code = "import sys, sent.kit.e164; sys.exit('phonenumbers' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
