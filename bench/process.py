"""Measuring and waiting for other processes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

_TICK = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """User and system time of all threads of ``pid`` so far, in seconds (steps of 10 ms)."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICK


def anonymous_kib(pid: int) -> int:
    """RssAnon of ``pid`` in KiB."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("RssAnon:"):
            return int(line.split()[1])
    raise RuntimeError(f"process {pid} shows no RssAnon")


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 15.0) -> None:
    """Poll ``condition``; a connection that is refused counts as not yet. Raises `TimeoutError` naming ``what``."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            if condition():
                return
        except OSError:
            pass
        time.sleep(0.05)
    raise TimeoutError(f"waited {seconds:.0f} s for {what}")
