"""Tones out and tones in: WAV files to speak with, frequency and level of what was heard."""

from __future__ import annotations

import math
import struct
import wave
from collections.abc import Sequence
from pathlib import Path

_PEAK = 12_000


def write_tone(file: Path, hertz: float, seconds: float, rate: int = 8000, channels: int = 1) -> None:
    period = [round(_PEAK * math.sin(2 * math.pi * hertz * n / rate)) for n in range(rate)]
    second = struct.pack(f"<{rate * channels}h", *(sample for sample in period for _ in range(channels)))
    with wave.open(str(file), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(second * round(seconds))


def amplitude(samples: Sequence[int], rate: int, hertz: float) -> float:
    """Peak amplitude of ``hertz`` in ``samples`` (one Fourier coefficient)."""
    if not samples:
        return 0.0
    step = 2 * math.pi * hertz / rate
    real = sum(sample * math.cos(step * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(step * n) for n, sample in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples)


def hears(samples: Sequence[int], rate: int, hertz: float, *, within_db: float = 3.0) -> bool:
    """Whether the tone of `write_tone` is there, at its level within ``within_db``."""
    level = amplitude(samples, rate, hertz)
    return level > 0 and abs(20 * math.log10(level / _PEAK)) <= within_db


def silent_for(samples: Sequence[int], rate: int, hertz: float) -> bool:
    """Whether ``hertz`` is at least 40 dB under the level of `write_tone`."""
    return amplitude(samples, rate, hertz) < _PEAK / 100
