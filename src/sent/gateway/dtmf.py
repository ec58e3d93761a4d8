"""Digits in SIP INFO, in the two ways that phones send them. Pure.

application/dtmf-relay   Signal=5\\r\\nDuration=160
application/dtmf         5
"""

from __future__ import annotations

import re

DTMF_RELAY = "application/dtmf-relay"
DTMF = "application/dtmf"

_DIGIT = re.compile(r"[0-9*#A-Da-d]")
_SIGNAL = re.compile(r"^\s*Signal\s*=\s*([0-9*#A-Da-d]|1[0-5])\s*$", re.IGNORECASE | re.MULTILINE)
_DURATION = re.compile(r"^\s*Duration\s*=\s*(\d{1,5})\s*$", re.IGNORECASE | re.MULTILINE)
_EVENTS = {"10": "*", "11": "#", "12": "A", "13": "B", "14": "C", "15": "D"}


def digit_in(content_type: str, body: bytes) -> tuple[str, int] | None:
    """The digit and its length in ms; None when this INFO carries none (``!``, a hook flash, counts as none)."""
    kind = content_type.partition(";")[0].strip().lower()
    text = body[:256].decode("ascii", "replace")
    if kind == DTMF_RELAY:
        signal = _SIGNAL.search(text)
        if signal is None:
            return None
        duration = _DURATION.search(text)
        return _EVENTS.get(signal[1], signal[1].upper()), int(duration[1]) if duration else 160
    if kind == DTMF and _DIGIT.fullmatch(text.strip()):
        return text.strip().upper(), 160
    return None


def relay_body(digit: str, duration_ms: int = 160) -> bytes:
    return f"Signal={digit}\r\nDuration={duration_ms}\r\n".encode()


class DigitFilter:
    """Drops the same digit when it arrives a second time by the other way (RFC 4733 and INFO together)."""

    WINDOW_S = 0.5

    def __init__(self) -> None:
        self._last: tuple[str, str, float] | None = None

    def is_new(self, digit: str, way: str, now: float) -> bool:
        last, self._last = self._last, (digit, way, now)
        if last is None or last[0] != digit or last[1] == way or now - last[2] > self.WINDOW_S:
            return True
        # The echo is spent: the next press of this digit counts again, by whichever way it comes first.
        self._last = None
        return False
