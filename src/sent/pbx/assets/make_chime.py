"""Makes ``welcome.wav``: a chime melody with soft decays, 8 kHz, 16 bit. Run it to make the file again."""

from __future__ import annotations

import math
import struct
import wave
from pathlib import Path

RATE = 8000
_MELODY = ((523.25, 0.0), (659.25, 0.45), (783.99, 0.9), (1046.5, 1.35), (783.99, 2.25), (880.0, 2.7), (1046.5, 3.15))
_PARTIALS = ((1.0, 1.0, 1.1), (2.0, 0.35, 0.55), (3.0, 0.12, 0.3))
"""Frequency ratio, level, decay in seconds: a soft bell."""
_SECONDS = 5.6
_LEVEL = 0.28
_ATTACK = 0.008


def sample(at: float) -> float:
    total = 0.0
    for frequency, start in _MELODY:
        age = at - start
        if age < 0:
            continue
        attack = min(age / _ATTACK, 1.0)
        for ratio, level, decay in _PARTIALS:
            total += level * math.exp(-age / decay) * math.sin(2 * math.pi * frequency * ratio * age) * attack
    return _LEVEL * total


def frames() -> bytes:
    count = int(RATE * _SECONDS)
    fade = RATE // 10
    values = (sample(n / RATE) * min(1.0, (count - n) / fade) for n in range(count))
    return b"".join(struct.pack("<h", max(-32767, min(32767, round(value * 32767)))) for value in values)


def main() -> None:
    with wave.open(str(Path(__file__).with_name("welcome.wav")), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(frames())


if __name__ == "__main__":
    main()
