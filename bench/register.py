"""Registrations refreshed by digest a second, on one core; the challenge is part of one."""

from __future__ import annotations

import tempfile
from pathlib import Path

from bench import sipp
from bench.people import CALLER_PORT
from bench.report import Figure
from bench.server import database, server

DEVICES = 200
REFRESHES = 30_000
_AT_ONCE = "100"


def run() -> Figure:
    with tempfile.TemporaryDirectory() as name, database() as owner_dsn, server(owner_dsn, core=0) as one:
        folder = Path(name)
        devices = one.add_people(DEVICES)
        accounts = folder / "accounts.csv"
        sipp.write_accounts(accounts, devices, devices)
        load = ["-inf", str(accounts), "-l", _AT_ONCE]
        sipp.run(folder, "register", CALLER_PORT, *load, "-r", "100", "-m", str(DEVICES), seconds=30, core=1)
        done = sipp.run(
            folder, "register", CALLER_PORT, *load, "-r", "20000", "-m", str(REFRESHES), seconds=120, core=1
        )
    return Figure(
        "register",
        round(done.succeeded / done.seconds),
        "refreshes/s",
        "≥ 1000",
        details={
            "refreshes": f"{done.succeeded} of {REFRESHES}, {DEVICES} devices, {_AT_ONCE} at once",
            "failed": done.failed,
            "retransmitted": done.retransmissions,
        },
    )
