"""A postmaster of our data folder that an earlier, killed process of ours left behind.

We hold the folder's lock when this is asked, so nobody alive is its parent in spirit: it is stopped, not adopted,
because its settings and its log are those of an older start.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from sent.kit.errors import Unavailable

_FAST_STOP_S = 20.0
_IMMEDIATE_STOP_S = 10.0
_POLL_S = 0.01


def read_status(data_dir: Path) -> str:
    """The last line of ``postmaster.pid``: ``ready``, ``starting``, ``stopping``; empty while there is none."""
    try:
        lines = (data_dir / "postmaster.pid").read_text().splitlines()
    except (FileNotFoundError, PermissionError):
        return ""
    return lines[7].strip() if len(lines) > 7 else ""


def stop_orphan(data_dir: Path) -> bool:
    """Stop a left-over server of ``data_dir`` and remove a stale pid file. True when one was running."""
    pid_file = data_dir / "postmaster.pid"
    try:
        first_line = pid_file.read_text().split("\n", 1)[0].strip()
    except FileNotFoundError:
        return False
    # A stand-alone backend writes its pid negative.
    pid = abs(int(first_line)) if first_line.lstrip("-").isdigit() else 0
    if not pid or not _is_postgres_of(pid, data_dir):
        # The number belongs to somebody else by now; PostgreSQL itself would refuse to start because it is taken.
        pid_file.unlink(missing_ok=True)
        return False
    for signal_number, patience in ((signal.SIGINT, _FAST_STOP_S), (signal.SIGQUIT, _IMMEDIATE_STOP_S)):
        try:
            os.kill(pid, signal_number)
        except ProcessLookupError:
            return True
        deadline = time.monotonic() + patience
        while time.monotonic() < deadline:
            if not _is_postgres_of(pid, data_dir):
                return True
            time.sleep(_POLL_S)
    raise Unavailable(
        "db.orphan_does_not_stop",
        f"a PostgreSQL left over from an earlier start (process {pid}) holds {data_dir} and does not stop;"
        f" end it with: kill -QUIT {pid}",
    )


def _is_postgres_of(pid: int, data_dir: Path) -> bool:
    """Whether ``pid`` is alive (not a zombie) and a postgres started by us on ``data_dir``."""
    proc = Path("/proc") / str(pid)
    if Path("/proc/self/cmdline").exists():
        try:
            words = (proc / "cmdline").read_bytes().split(b"\0")
        except OSError:
            return False
        return b"-D" in words and os.fsencode(data_dir) in words
    listed = subprocess.run(  # noqa: S603  # fixed program, a number as argument
        ["/bin/ps", "-o", "command=", "-p", str(pid)], capture_output=True, text=True, timeout=5, check=False
    ).stdout
    return f"-D {data_dir}" in listed
