"""Callers and registered callees at a server, for the figures that place calls."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from bench import sipp
from bench.server import Device, Server

CALLER_PORT, CALLEE_PORT = 26_000, 26_100
PAIRS = 200


@dataclass(frozen=True, slots=True)
class People:
    folder: Path
    accounts: Path

    def call(self, rate: float, calls: int, hold_ms: int, seconds: float, core: int | None = None) -> sipp.Outcome:
        """Authenticated calls at ``rate`` a second, each held for ``hold_ms``."""
        return sipp.run(
            self.folder, "caller", CALLER_PORT,
            "-inf", str(self.accounts), "-r", f"{rate:g}", "-m", str(calls), "-d", str(hold_ms), "-l", "20000",
            seconds=seconds, core=core,
        )  # fmt: skip


@contextlib.contextmanager
def people(one: Server, folder: Path, core: int | None = None) -> Iterator[People]:
    """``PAIRS`` callers, and as many callees that are registered and answer, until the block ends."""
    devices: Sequence[Device] = one.add_people(2 * PAIRS)
    # Both halves count through the organizations in the same order, so each pair is of one.
    callers, callees = devices[:PAIRS], devices[PAIRS:]
    registering, calling = folder / "callees.csv", folder / "callers.csv"
    sipp.write_accounts(registering, callees, callees)
    sipp.write_accounts(calling, callers, callees)
    registered = sipp.run(
        folder, "register", CALLEE_PORT, "-inf", str(registering), "-r", "50", "-m", str(PAIRS), seconds=30, core=core
    )
    if registered.succeeded != PAIRS:
        raise RuntimeError(f"only {registered.succeeded} of {PAIRS} callees could register")
    answering = sipp.start(folder, "callee", CALLEE_PORT, "-l", "20000", core=core)
    try:
        yield People(folder, calling)
    finally:
        answering.kill()
        answering.wait()
