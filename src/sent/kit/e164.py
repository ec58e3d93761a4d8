"""Telephone numbers: read what people and carriers write, and give E.164 (``+4930123456``).

The metadata behind it is large, so it is imported with the first number, not with the program.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sent.kit.errors import BadInput

_E164 = re.compile(r"\+[1-9][0-9]{4,14}").fullmatch
_DIALLABLE = re.compile(r"[+0-9A-Za-z().\-/ \u00a0]{1,48}").fullmatch
_REGION = re.compile(r"[A-Z]{2}").fullmatch


@dataclass(frozen=True, slots=True)
class PhoneNumber:
    """``e164`` has its ``+``. ``region`` is the ISO 3166 country, None for numbers of no country (satellite,
    ``+800``) and where the number fits no numbering plan."""

    e164: str
    country_code: int
    region: str | None
    valid: bool
    """It fits its country's numbering plan, as far as that is known."""


def is_e164(text: str) -> bool:
    """The form alone: ``+``, then 5 to 15 digits, no zero in front. Needs no metadata."""
    return _E164(text) is not None


def check_region(region: str) -> str:
    """``region`` if it is a country that has a numbering plan (``DE``). Raises `BadInput`."""
    import phonenumbers  # heavy metadata, see above

    if not _REGION(region) or region not in phonenumbers.SUPPORTED_REGIONS:
        raise BadInput("number.bad_region", "The home region must be a two-letter country code such as DE or US.")
    return region


@lru_cache(maxsize=4096)
def _parse(text: str, home_region: str) -> PhoneNumber | None:
    import phonenumbers  # heavy metadata, see above

    try:
        number = phonenumbers.parse(text, home_region)
    except phonenumbers.NumberParseException:
        return None
    if phonenumbers.is_possible_number_with_reason(number) != phonenumbers.ValidationResult.IS_POSSIBLE:
        return None  # IS_POSSIBLE_LOCAL_ONLY too: what cannot be dialled from abroad has no E.164 form
    return PhoneNumber(
        e164=phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164),
        country_code=number.country_code or 0,
        region=phonenumbers.region_code_for_number(number),
        valid=phonenumbers.is_valid_number(number),
    )


def parse_number(text: str, home_region: str) -> PhoneNumber | None:
    """What ``text`` means when it is dialled in ``home_region`` (``030 123456``, ``0049 30 …``, ``+49 (30) …``).

    None if it is no possible number: short codes, extensions, emergency numbers, and everything with characters that
    no one dials. An extension after the number (``x12``) is dropped.
    """
    text = text.strip()
    if not _DIALLABLE(text):
        return None
    return _parse(text, home_region)


def normalise(text: str, home_region: str) -> str:
    """E.164 of ``text``. Raises `BadInput` if it is no possible number."""
    number = parse_number(text, home_region)
    if number is None:
        raise BadInput(
            "number.not_a_number",
            f"This is not a telephone number that can be dialled from {home_region}; write it as +<country><number>.",
        )
    return number.e164


def country_of(e164: str) -> str | None:
    """The country of an E.164 number; None where it has none, or where this is no number."""
    number = _parse(e164, "ZZ") if is_e164(e164) else None
    return None if number is None else number.region


def is_international(e164: str, home_region: str) -> bool:
    """Whether calling ``e164`` from ``home_region`` leaves the country. What is not understood counts as international,
    since that is what costs money: numbers of no country (satellite, premium ``+979``), invalid ones, and other
    countries that share the country code (``+1`` is not only the USA)."""
    return country_of(e164) != home_region


@lru_cache(maxsize=256)
def is_emergency(text: str, home_region: str) -> bool:
    """Whether ``text``, dialled as it is in ``home_region``, reaches an emergency service (``112``, ``911``)."""
    if not text.isascii() or not text.isdigit() or len(text) > 6:
        return False
    import phonenumbers  # heavy metadata, see above

    return phonenumbers.is_emergency_number(text, home_region)
