"""The same streams as `relay`, PCMU on one leg and PCMA on the other."""

from __future__ import annotations

from bench.media import measure
from bench.report import Figure


def run() -> Figure:
    return measure(0, 8, "transcode", "≤ 0.4 × rtpengine")
