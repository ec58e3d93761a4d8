"""Tones out and tones in: WAV files to speak with, frequency and level of what was heard."""

from __future__ import annotations

import math
import statistics
import struct
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

PEAK = 12_000
_WINDOW_S = 0.1
_MARGIN = 5
"""Windows at each end that are not judged: the call is being connected, or hung up."""


def write_tone(file: Path, hertz: float, seconds: float, rate: int = 8000, channels: int = 1) -> None:
    period = [round(PEAK * math.sin(2 * math.pi * hertz * n / rate)) for n in range(rate)]
    second = struct.pack(f"<{rate * channels}h", *(sample for sample in period for _ in range(channels)))
    with wave.open(str(file), "wb") as out:
        out.setnchannels(channels)
        out.setsampwidth(2)
        out.setframerate(rate)
        out.writeframes(second * round(seconds))


def read_wav(file: Path) -> list[Sound]:
    """The channels of a 16-bit file."""
    with wave.open(str(file)) as opened:
        assert opened.getsampwidth() == 2
        channels, frames = opened.getnchannels(), opened.getnframes()
        samples = struct.unpack(f"<{frames * channels}h", opened.readframes(frames))
        return [Sound(samples[channel::channels], opened.getframerate()) for channel in range(channels)]


@dataclass(frozen=True, slots=True)
class Sound:
    """What was heard, on one channel."""

    samples: Sequence[int]
    rate: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate

    def amplitudes(self, hertz: float) -> list[float]:
        """Peak amplitude of ``hertz`` in each tenth of a second. Short windows, so that a lost packet costs one of
        them and does not turn the phase of the whole."""
        size = round(self.rate * _WINDOW_S)
        return [
            _amplitude(self.samples[start : start + size], self.rate, hertz)
            for start in range(0, len(self.samples) - size + 1, size)
        ]

    def decibels(self, hertz: float) -> float:
        """Level of ``hertz`` against that of `write_tone`: the median over the middle of the call."""
        windows = self.amplitudes(hertz)[_MARGIN:-_MARGIN]
        assert len(windows) >= 5, f"only {self.seconds:.1f} s were heard"
        return 20 * math.log10(max(statistics.median(windows), 0.1) / PEAK)

    def hears(self, hertz: float, *, within_db: float = 3.0) -> bool:
        """Whether the tone of `write_tone` is there all the time, at its level within ``within_db``."""
        windows = self.amplitudes(hertz)[_MARGIN:-_MARGIN]
        there = sum(amplitude > PEAK / 2 for amplitude in windows)
        return abs(self.decibels(hertz)) <= within_db and there >= 0.9 * len(windows)

    def lacks(self, hertz: float) -> bool:
        """Whether ``hertz`` is at least 40 dB under the level of `write_tone`."""
        return self.decibels(hertz) < -40

    def timeline(self, **hertz: Sequence[float]) -> str:
        """For each tenth of a second the first letter of the tone that is loudest there, ``-`` for none of them. A tone
        of several frequencies is there when any of them is."""
        found = {name: [self.amplitudes(frequency) for frequency in each] for name, each in hertz.items()}
        letters = []
        for n in range(len(next(iter(found.values()))[0])):
            loudest = max(found, key=lambda name: max(windows[n] for windows in found[name]))
            heard = max(windows[n] for windows in found[loudest]) > PEAK / 100
            letters.append(loudest[0] if heard else "-")
        return "".join(letters)


def _amplitude(samples: Sequence[int], rate: int, hertz: float) -> float:
    step = 2 * math.pi * hertz / rate
    real = sum(sample * math.cos(step * n) for n, sample in enumerate(samples))
    imaginary = sum(sample * math.sin(step * n) for n, sample in enumerate(samples))
    return 2 * math.hypot(real, imaginary) / len(samples)
