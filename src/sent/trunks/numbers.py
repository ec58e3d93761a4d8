"""What a dialled number is, by the ITU's plan: where it goes and what it may cost. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_DIALABLE = re.compile(r"^\+?[0-9]{2,20}$")
_PUNCTUATION = re.compile(r"[\s().\-/]")


class NumberKind(StrEnum):
    EMERGENCY = "emergency"
    NATIONAL = "national"
    INTERNATIONAL = "international"
    PREMIUM = "premium"
    SHORT = "short"
    """A national short code (directory inquiries, carrier services): cost unknown, so it counts as premium."""
    PRIVATE = "private"
    """A line to another phone system (the trunk has no country): digits as dialled, the other side knows them."""
    INVALID = "invalid"


@dataclass(frozen=True, slots=True)
class OutsideNumber:
    """``number`` is E.164 with ``+``, or the bare digits for emergency and short codes. ``country`` may be empty."""

    number: str
    kind: NumberKind
    country: str


def classify(dialled: str, home_country: str) -> OutsideNumber:
    """Read what was dialled (without the outside prefix) as a phone in ``home_country`` would."""
    digits = _PUNCTUATION.sub("", dialled)
    if not _DIALABLE.match(digits):
        return OutsideNumber(dialled, NumberKind.INVALID, "")
    if not home_country:
        return OutsideNumber(digits, NumberKind.PRIVATE, "")
    import phonenumbers  # here, since its tables cost memory that a system without trunks need not pay
    from phonenumbers import PhoneNumberType, shortnumberinfo

    if not digits.startswith("+") and shortnumberinfo.is_emergency_number(digits, home_country):
        return OutsideNumber(digits, NumberKind.EMERGENCY, home_country)
    try:
        parsed = phonenumbers.parse(digits, home_country)
    except phonenumbers.NumberParseException:
        return OutsideNumber(digits, NumberKind.INVALID, "")
    if not phonenumbers.is_valid_number(parsed):
        if not digits.startswith("+") and shortnumberinfo.is_possible_short_number_for_region(parsed, home_country):
            return OutsideNumber(digits, NumberKind.SHORT, home_country)
        return OutsideNumber(digits, NumberKind.INVALID, "")
    number = phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    country = phonenumbers.region_code_for_number(parsed) or ""
    if phonenumbers.number_type(parsed) in {PhoneNumberType.PREMIUM_RATE, PhoneNumberType.SHARED_COST}:
        return OutsideNumber(number, NumberKind.PREMIUM, country)
    kind = NumberKind.NATIONAL if country == home_country else NumberKind.INTERNATIONAL
    return OutsideNumber(number, kind, country)


def to_e164(number: str, home_country: str) -> str | None:
    """A carrier's way of writing one of our numbers (``0049…``, ``030…``, ``4930…``) as E.164; None when it is none.
    Private lines (no country) keep the digits.

    Many carriers drop the ``+``, so digits that are valid with it are read that way when they are not valid without.
    """
    digits = _PUNCTUATION.sub("", number)
    if not home_country:
        return digits if _DIALABLE.match(digits) else None
    import phonenumbers

    for candidate in (digits, "+" + digits.removeprefix("00")):
        try:
            parsed = phonenumbers.parse(candidate, home_country)
        except phonenumbers.NumberParseException:
            continue
        if phonenumbers.is_possible_number(parsed) and phonenumbers.is_valid_number(parsed):
            return phonenumbers.format_number(parsed, phonenumbers.PhoneNumberFormat.E164)
    return None
