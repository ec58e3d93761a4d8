"""What a caller hears while nobody talks. Synthesized by the engine; no audio file needed."""

from __future__ import annotations

from sent.media.types import ToneStep

RINGBACK = (ToneStep((425.0,), 1_000, -16.0), ToneStep((), 4_000))
"""ETSI TR 101 041-2: 425 Hz, one second in five."""

_HOLD_NOTES = (392.0, 493.88, 587.33, 659.25, 587.33, 493.88)

HOLD = (
    *(step for note in _HOLD_NOTES for step in (ToneStep((note, note * 1.5), 420, -28.0), ToneStep((), 180))),
    ToneStep((), 2_400),
)
"""A slow, soft broken chord in G (each note with its fifth) and a rest: says "you are on hold", and bears repeating."""
