from __future__ import annotations

import pytest

from sent.gateway.dtmf import DTMF, DTMF_RELAY, DigitFilter, digit_in, relay_body


@pytest.mark.parametrize(
    ("kind", "body", "found"),
    [
        (DTMF_RELAY, b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
        (DTMF_RELAY, b"Signal= *\r\nDuration= 250", ("*", 250)),
        (DTMF_RELAY, b"signal=11", ("#", 160)),
        (DTMF_RELAY + "; charset=x", b"Signal=b\n", ("B", 160)),
        (DTMF_RELAY, b"Signal=!\r\n", None),
        (DTMF_RELAY, b"\xff" * 9000, None),
        (DTMF, b"7\r\n", ("7", 160)),
        (DTMF, b"77", None),
        ("text/plain", b"7", None),
    ],
)
def test_digits_in_info(kind: str, body: bytes, found: tuple[str, int] | None):
    assert digit_in(kind, body) == found


def test_what_we_send_we_can_read():
    assert digit_in(DTMF_RELAY, relay_body("#", 100)) == ("#", 100)


def test_the_same_press_by_both_ways_counts_once_and_two_presses_twice():
    digits = DigitFilter()
    assert digits.is_new("5", "rtp", 1.0)
    assert not digits.is_new("5", "info", 1.1)
    assert digits.is_new("5", "rtp", 1.3)
    assert not digits.is_new("5", "info", 1.4)
    assert digits.is_new("5", "info", 2.0)
    assert digits.is_new("6", "rtp", 2.1)
    assert digits.is_new("6", "rtp", 2.2)
