"""Reaching the embedded database that another SENT process runs: what a command does while the server is up."""

from __future__ import annotations

import fcntl
from pathlib import Path

from sent.infra.db.embedded import EmbeddedPostgres


def running_owner_dsn(data_dir: Path) -> str | None:
    """The owner's conninfo of the server that a living process runs in ``data_dir``; None when none does."""
    try:
        with (data_dir / "lock").open("rb") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
            except OSError:
                return EmbeddedPostgres(data_dir).owner_dsn()
    except FileNotFoundError:
        return None
    return None
