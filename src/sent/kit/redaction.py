"""What may stand in a log: the last two digits of a number, never more."""

from __future__ import annotations

import re

_DIGITS = re.compile(r"\+?\d{5,}")


def redact_number(number: str) -> str:
    """``+4930123456`` → ``+…56``; short extensions (under five digits) stay as they are."""
    return _DIGITS.sub(lambda m: ("+…" if m[0].startswith("+") else "…") + m[0][-2:], number)
