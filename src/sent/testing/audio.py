"""Audio judged by content: tones made, sent, and measured at the far ear. Plain Python, no engine."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeAlias

AMPLITUDE_0_DBM0 = 22_653.0
"""Peak of a sine of 0 dBm0 in 16 bits: a full-scale sine is +3.17 dBm0 in mu-law (ITU-T G.711 table 5)."""

Samples: TypeAlias = "array[int]"
"""Signed 16-bit samples, type code ``h``."""


@dataclass(frozen=True, slots=True)
class Heard:
    """The strongest single frequency in Hz and its level in dBm0."""

    frequency: float
    level_dbm0: float

    def is_tone(self, frequency: float, level_dbm0: float | None = None) -> bool:
        """Within 5 Hz and 1.5 dB: a codec and a resampler may bend it so far, nothing else does."""
        near = abs(self.frequency - frequency) <= 5.0
        return near and (level_dbm0 is None or abs(self.level_dbm0 - level_dbm0) <= 1.5)


def tone(frequency: float, ms: int, rate: int = 8000, level_dbm0: float = -13.0) -> Samples:
    peak = AMPLITUDE_0_DBM0 * 10 ** (level_dbm0 / 20)
    step = 2 * math.pi * frequency / rate
    return array("h", (round(peak * math.sin(step * n)) for n in range(rate * ms // 1000)))


def silence(ms: int, rate: int = 8000) -> Samples:
    return array("h", bytes(2 * (rate * ms // 1000)))


def level_at(samples: Sequence[int], frequency: float, rate: int = 8000) -> float:
    """Level of one frequency in dBm0 (Goertzel, Hann window); -100 where there is nothing."""
    count = len(samples)
    if count < 16:
        return -100.0
    factor = 2 * math.cos(2 * math.pi * frequency / rate)
    window = 2 * math.pi / count
    before = last = 0.0
    for n, sample in enumerate(samples):
        before, last = last, sample * (0.5 - 0.5 * math.cos(window * n)) + factor * last - before
    power = max(last * last + before * before - factor * last * before, 0.0)
    peak = 4 * math.sqrt(power) / count
    return max(20 * math.log10(peak / AMPLITUDE_0_DBM0), -100.0) if peak > 0 else -100.0


def listen(samples: Sequence[int], rate: int = 8000) -> Heard:
    """The strongest frequency between 200 and 3600 Hz, over half a second from the middle."""
    middle, reach = len(samples) // 2, rate // 4
    part = samples[max(middle - reach, 0) : middle + reach]
    coarse = max((level_at(part[: rate // 8], hz, rate), hz) for hz in range(200, 3601, 20))[1]
    level, fine = max((level_at(part, hz, rate), hz) for hz in range(coarse - 20, coarse + 21, 2))
    return Heard(float(fine), level)


def level_of(samples: Sequence[int]) -> float:
    """Level of everything together in dBm0; -100 for silence."""
    if not len(samples):
        return -100.0
    mean = sum(sample * sample for sample in samples) / len(samples)
    return max(10 * math.log10(2 * mean / AMPLITUDE_0_DBM0**2), -100.0) if mean else -100.0


def gaps(samples: Sequence[int], rate: int = 8000, below_dbm0: float = -50.0) -> list[tuple[int, int]]:
    """Where it is silent for at least 20 ms: (start, length) in ms, exact to 10 ms."""
    frame = rate // 100
    found: list[tuple[int, int]] = []
    for number in range(len(samples) // frame):
        if level_of(samples[number * frame : (number + 1) * frame]) >= below_dbm0:
            continue
        if found and sum(found[-1]) == number * 10:
            found[-1] = (found[-1][0], found[-1][1] + 10)
        else:
            found.append((number * 10, 10))
    return [(start, length) for start, length in found if length >= 20]


def ulaw_encode(samples: Sequence[int]) -> bytes:
    return bytes(_ULAW_OF[max(-32_768, sample) >> 2 & 0x3FFF] for sample in samples)


def ulaw_decode(octets: bytes) -> Samples:
    return array("h", (_ULAW[octet] for octet in octets))


def alaw_encode(samples: Sequence[int]) -> bytes:
    return bytes(_ALAW_OF[max(-32_768, sample) >> 3 & 0x1FFF] for sample in samples)


def alaw_decode(octets: bytes) -> Samples:
    return array("h", (_ALAW[octet] for octet in octets))


def _ulaw_value(octet: int) -> int:
    """ITU-T G.711 table 2a, in 16 bits."""
    octet = ~octet & 0xFF
    size = ((octet & 0x0F) << 3) + 0x84 << (octet >> 4 & 0x07)
    return 0x84 - size if octet & 0x80 else size - 0x84


def _alaw_value(octet: int) -> int:
    """ITU-T G.711 table 1a, in 16 bits."""
    octet ^= 0x55
    segment, size = octet >> 4 & 0x07, (octet & 0x0F) << 4
    size = size + 8 if segment == 0 else size + 0x108 << segment - 1
    return size if octet & 0x80 else -size


def _encoder(values: Sequence[int], shift: int) -> bytes:
    """For each linear value (in two's complement, shifted right), the octet whose value is nearest."""
    ordered = sorted((value, octet) for octet, value in enumerate(values))
    size = 1 << 16 - shift
    table = bytearray(size)
    place = 0
    for linear in range(-(size // 2), size // 2):
        sample = (linear << shift) + (1 << shift - 1)
        while place + 1 < len(ordered) and abs(ordered[place + 1][0] - sample) <= abs(ordered[place][0] - sample):
            place += 1
        table[linear & size - 1] = ordered[place][1]
    return bytes(table)


_ULAW = [_ulaw_value(octet) for octet in range(256)]
_ALAW = [_alaw_value(octet) for octet in range(256)]
_ULAW_OF = _encoder(_ULAW, 2)
_ALAW_OF = _encoder(_ALAW, 3)
