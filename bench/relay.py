"""CPU time per RTP packet relayed: 300 calls of G.711, 50 packets/s each way, the same codec on both legs."""

from __future__ import annotations

from bench.media import measure
from bench.report import Figure


def run() -> Figure:
    return measure(0, 0, "relay", "≤ 0.6 × rtpengine, 0.5 as the stretch")
