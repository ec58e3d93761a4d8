"""The measuring instruments themselves."""

from array import array

import pytest

from sent.testing.audio import (
    alaw_decode,
    alaw_encode,
    gaps,
    level_at,
    level_of,
    listen,
    silence,
    tone,
    ulaw_decode,
    ulaw_encode,
)


@pytest.mark.parametrize(("frequency", "level"), [(440.0, -13.0), (1004.0, 0.0), (2600.0, -30.0)])
def test_a_tone_is_measured_as_it_was_made(frequency: float, level: float) -> None:
    heard = listen(tone(frequency, 1000, level_dbm0=level))
    assert heard.is_tone(frequency, level)
    assert abs(heard.level_dbm0 - level) < 0.2
    assert not heard.is_tone(frequency + 10)
    assert not heard.is_tone(frequency, level + 3)


def test_other_frequencies_and_silence_are_low() -> None:
    assert level_at(tone(440, 500), 880) < -60
    assert level_at(silence(500), 440) == -100
    assert level_of(silence(100)) == -100
    assert level_of(tone(440, 1000, level_dbm0=-13)) == pytest.approx(-13, abs=0.1)


def test_rates_other_than_8000() -> None:
    assert listen(tone(700, 1000, 48_000), 48_000).is_tone(700, -13)


def test_g711_codewords_of_the_standard() -> None:
    """ITU-T G.711 tables 1 and 2: ends, the smallest steps and the sign."""
    assert list(ulaw_decode(bytes([0xFF, 0x7F, 0x80, 0x00, 0xFE]))) == [0, 0, 32_124, -32_124, 8]
    assert list(alaw_decode(bytes([0xD5, 0x55, 0xAA, 0x2A]))) == [8, -8, 32_256, -32_256]
    assert ulaw_encode(array("h", [32_767, -32_768])) == b"\x80\x00"
    assert alaw_encode(array("h", [32_767, -32_768, 8, -8])) == b"\xaa\x2a\xd5\x55"


@pytest.mark.parametrize(("encode", "decode"), [(ulaw_encode, ulaw_decode), (alaw_encode, alaw_decode)])
def test_every_g711_value_survives(encode, decode) -> None:  # type: ignore[no-untyped-def]
    values = decode(bytes(range(256)))
    assert decode(encode(values)) == values


def test_gaps_are_found_to_ten_milliseconds() -> None:
    samples = tone(440, 100) + silence(60) + tone(440, 200) + silence(10) + tone(440, 100)
    assert gaps(samples) == [(100, 60)]
