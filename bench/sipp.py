"""SIPp for the figures: many calls at once, its statistics read from the files that it writes."""

from __future__ import annotations

import csv
import shutil
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from bench.server import SIP_PORT, Device

SCENARIOS = Path(__file__).parent / "scenarios"


@dataclass(frozen=True, slots=True)
class Outcome:
    succeeded: int
    failed: int
    retransmissions: int
    seconds: float
    response_ms: tuple[float, ...]
    """Each measured response time, where the scenario measures one."""


def available() -> bool:
    return shutil.which("sipp") is not None


def write_accounts(file: Path, callers: Sequence[Device], callees: Sequence[Device]) -> None:
    """SIPp's injection file: the caller, its credentials as SIPp wants to find them there, the callee's extension."""
    rows = [
        f"{a.user};[authentication username={a.user} password={a.password}];{b.extension}"
        for a, b in zip(callers, callees, strict=True)
    ]
    file.write_text("SEQUENTIAL\n" + "\n".join(rows) + "\n")


def start(folder: Path, scenario: str, port: int, *arguments: str, core: int | None = None) -> subprocess.Popen[bytes]:
    """SIPp in the background; ``arguments`` as on its command line."""
    pin = ["taskset", "-c", str(core)] if core is not None else []
    own = ["sipp", f"127.0.0.1:{SIP_PORT}", "-sf", str(SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1"]
    return subprocess.Popen(
        [*pin, *own, "-p", str(port), "-nostdin", *arguments],
        cwd=folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def run(folder: Path, scenario: str, port: int, *arguments: str, seconds: float, core: int | None = None) -> Outcome:
    """SIPp to its end, which must come within ``seconds``."""
    with tempfile.TemporaryDirectory(dir=folder) as name:
        own = Path(name)
        statistics = own / "statistics.csv"
        trace = ["-trace_stat", "-stf", str(statistics), "-fd", "1", "-trace_rtt", "-rtt_freq", "1"]
        process = start(own, scenario, port, *arguments, *trace, "-timeout", f"{seconds:.0f}s", core=core)
        try:
            process.wait(seconds + 30)
        except subprocess.TimeoutExpired:
            pass  # calls that never ended; the statistics below lack them
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        with statistics.open(newline="") as lines:
            last = list(csv.DictReader(lines, delimiter=";"))[-1]
        response_ms = tuple(ms for file in own.glob("*_rtt.csv") for ms in _response_times(file))
    return Outcome(
        int(last["SuccessfulCall(C)"]),
        int(last["FailedCall(C)"]),
        int(last["Retransmissions(C)"]),
        _seconds(last["ElapsedTime(C)"]),
        response_ms,
    )


def _response_times(file: Path) -> list[float]:
    with file.open(newline="") as lines:
        rows = csv.reader(lines, delimiter=";")
        next(rows, None)
        return [float(row[1]) for row in rows if len(row) > 1 and row[1]]


def _seconds(elapsed: str) -> float:
    """``00:01:02:345678`` or ``00:01:02``."""
    hours, minutes, *rest = elapsed.split(":")
    return int(hours) * 3600 + int(minutes) * 60 + float(".".join(rest))
