"""What `relay` and `transcode` share: the same streams through SENT's engine and through rtpengine, in turn."""

from __future__ import annotations

import contextlib
import json
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.peers.rtpengine import rtpengine
from bench.process import cpu_seconds
from bench.report import Figure

ROOT = Path(__file__).parent.parent
CALLS = 300
SECONDS = 20
_FIRST_PORT = 10_000

Connect = Callable[[int, int, int, int], tuple[int, int]]


@dataclass(frozen=True, slots=True)
class Measured:
    cpu_us_per_packet: float
    core_percent: float
    sent: int
    received: int
    latency: dict[str, int] | None

    @property
    def lost(self) -> str:
        """An engine that transcodes goes on for a moment after the load has ended, so more may come than was sent."""
        more = self.received - self.sent
        return f"0 of {self.sent}, {more} more after the end" if more > 0 else f"{-more} of {self.sent}"


def measure(caller_codec: int, callee_codec: int, name: str, target: str) -> Figure:
    """CPU per received packet, ours and rtpengine's, each with ``CALLS`` calls for ``SECONDS`` s."""
    load = _load_program()
    with _engine() as (pid, connect):
        ours = _run(load, pid, connect, caller_codec, callee_codec)
    theirs, version = None, None
    with rtpengine() as peer:
        if peer is not None:
            version = peer.version
            theirs = _run(load, peer.pid, peer.connect, caller_codec, callee_codec)
    details: dict[str, object] = {
        "calls": CALLS,
        "core": f"{ours.core_percent:.1f} %",
        "lost": ours.lost,
        "latency": _latency(ours),
    }
    if theirs is not None:
        details |= {
            "peer core": f"{theirs.core_percent:.1f} %",
            "peer lost": theirs.lost,
            "peer latency": _latency(theirs),
        }
    return Figure(
        name,
        round(ours.cpu_us_per_packet, 2),
        "µs/packet",
        target,
        version,
        round(theirs.cpu_us_per_packet, 2) if theirs else None,
        details,
    )


def _run(load: Path, pid: int, connect: Connect, caller_codec: int, callee_codec: int) -> Measured:
    lines = []
    for call in range(CALLS):
        caller, callee = _FIRST_PORT + 4 * call, _FIRST_PORT + 4 * call + 2
        to_caller, to_callee = connect(caller, callee, caller_codec, callee_codec)
        lines.append(f"{caller} 127.0.0.1 {to_caller} {caller_codec}")
        lines.append(f"{callee} 127.0.0.1 {to_callee} {callee_codec}")
    before = cpu_seconds(pid)
    result = subprocess.run(
        [load, str(SECONDS)],
        input="\n".join(lines),
        capture_output=True,
        text=True,
        check=True,
        timeout=SECONDS + 30,
    )
    used = cpu_seconds(pid) - before
    counted = json.loads(result.stdout)
    return Measured(
        cpu_us_per_packet=used * 1e6 / max(min(counted["sent"], counted["received"]), 1),
        core_percent=used / SECONDS * 100,
        sent=counted["sent"],
        received=counted["received"],
        latency=counted["latency_us"],
    )


def _latency(measured: Measured) -> str:
    if measured.latency is None:
        return "not readable after transcoding"
    return "p50 {p50} µs, p99 {p99} µs, max {max} µs".format(**measured.latency)


def _load_program() -> Path:
    subprocess.run(["cargo", "build", "--quiet", "--release", "-p", "rtp-load"], cwd=ROOT, check=True)
    return ROOT / "target/release/rtp-load"


@contextlib.contextmanager
def _engine() -> Iterator[tuple[int, Connect]]:
    """SENT's media engine alone in a process of its own."""
    process = subprocess.Popen(
        [sys.executable, "-m", "bench.engine_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the engine's process has no pipes")
    to_engine, from_engine = process.stdin, process.stdout

    def connect(caller: int, callee: int, caller_codec: int, callee_codec: int) -> tuple[int, int]:
        to_engine.write(json.dumps([caller, callee, caller_codec, callee_codec]) + "\n")
        to_engine.flush()
        to_caller, to_callee = json.loads(from_engine.readline())
        return int(to_caller), int(to_callee)

    try:
        yield process.pid, connect
    finally:
        to_engine.close()
        process.wait(10)
