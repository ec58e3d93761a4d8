"""RssAnon of the server with all listeners up, 60 s after its start, and its slope over ten minutes."""

from __future__ import annotations

import os
import time

from bench.process import anonymous_kib, cpu_seconds
from bench.report import Figure
from bench.server import database, server

SETTLE_SECONDS = 60
SLOPE_MINUTES = int(os.environ.get("BENCH_IDLE_MINUTES", "10"))


def run() -> Figure:
    with database() as owner_dsn, server(owner_dsn) as one:
        time.sleep(SETTLE_SECONDS)
        first, cpu = anonymous_kib(one.pid), cpu_seconds(one.pid)
        time.sleep(SLOPE_MINUTES * 60)
        last = anonymous_kib(one.pid)
        share = (cpu_seconds(one.pid) - cpu) / (SLOPE_MINUTES * 60) * 100
    return Figure(
        "idle",
        round(first / 1024, 1),
        "MB",
        "≤ 64 MB first, 40 MB required; flat",
        details={
            "slope": f"{(last - first) / SLOPE_MINUTES:+.1f} KiB/min over {SLOPE_MINUTES} min",
            "core while idle": f"{share:.2f} %",
        },
    )
