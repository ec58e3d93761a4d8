"""From the authenticated INVITE to the callee's 180 back at the caller, at 20 calls/s; the callee rings at once."""

from __future__ import annotations

import statistics
import tempfile
from pathlib import Path

from bench.people import people
from bench.report import Figure
from bench.server import database, server

RATE, CALLS, HOLD_MS = 20, 1_200, 1_000


def run() -> Figure:
    with (
        tempfile.TemporaryDirectory() as name,
        database() as owner_dsn,
        server(owner_dsn) as one,
        people(one, Path(name)) as those,
    ):
        done = those.call(RATE, CALLS, HOLD_MS, seconds=CALLS / RATE + 60)
    percentiles = statistics.quantiles(done.response_ms, n=100)
    return Figure(
        "setup",
        round(percentiles[94], 1),
        "ms",
        "p95 ≤ 25 ms",
        details={
            "p50 / p99": f"{percentiles[49]:.1f} / {percentiles[98]:.1f} ms, SIPp's share of both ends included",
            "calls": f"{done.succeeded} of {CALLS}, failed {done.failed}, retransmitted {done.retransmissions}",
        },
    )
