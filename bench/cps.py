"""Calls a second through the whole product: server and engine on one core, SIPp and the database on the other."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path

from bench.people import People, people
from bench.process import cpu_seconds
from bench.report import Figure
from bench.server import database, server

PROVEN_RATE = 80
FURTHER_RATES = (120, 150)
HOLD_MS = 10_000
STEP_SECONDS = 30
PROVEN_SECONDS = int(os.environ.get("BENCH_CPS_SECONDS", "300"))


def run() -> Figure:
    """The value is what was borne for five minutes; what was borne for half a minute stands beside it."""
    details: dict[str, object] = {}
    with (
        tempfile.TemporaryDirectory() as name,
        database() as owner_dsn,
        server(owner_dsn, core=0) as one,
        people(one, Path(name), core=1) as those,
    ):
        proven = _holds(those, PROVEN_RATE, PROVEN_SECONDS, one.pid, details)
        for rate in FURTHER_RATES:
            _holds(those, rate, STEP_SECONDS, one.pid, details)
    value = PROVEN_RATE if proven else 0
    return Figure("cps", value, "calls/s", "≥ 80 for 5 min; 150 as the stretch", details=details)


def _holds(those: People, rate: int, seconds: int, pid: int, details: dict[str, object]) -> bool:
    """Whether ``rate`` was borne for ``seconds`` without a failed call."""
    calls = rate * seconds
    before = cpu_seconds(pid)
    done = those.call(rate, calls, HOLD_MS, seconds=seconds + HOLD_MS / 1_000 + 60, core=1)
    core = (cpu_seconds(pid) - before) / max(done.seconds, 1) * 100
    details[f"{rate}/s for {seconds} s"] = (
        f"{done.succeeded} of {calls} succeeded, {done.failed} failed, {done.retransmissions} retransmitted,"
        f" {core:.0f} % of the core"
    )
    return done.failed == 0 and done.succeeded == calls
