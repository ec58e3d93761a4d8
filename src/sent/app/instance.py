"""One server per data folder: two would take each other's calls for those of a dead process."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from sent.kit.errors import Unavailable

_LOCK = "serve.lock"


@contextlib.contextmanager
def only_server(data_dir: Path) -> Iterator[None]:
    """Holds the folder inside the block; the system lets go of it when the process dies, however it dies.

    Makes the folder where there is none. Raises `Unavailable`: ``app.data_folder``, ``app.already_running``.
    """
    try:
        # Open to others as far as its name goes: for root the database runs as another user.
        data_dir.mkdir(mode=0o755, parents=True, exist_ok=True)
        descriptor = os.open(data_dir / _LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise Unavailable(
            "app.data_folder", f"The data folder {data_dir} cannot be used: {error.strerror}. Set SENT_DATA_DIR."
        ) from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            raise Unavailable(
                "app.already_running",
                f"SENT already runs on the data folder {data_dir}. Stop it, or give this one its own SENT_DATA_DIR.",
            ) from error
        yield
    finally:
        os.close(descriptor)


def is_serving(data_dir: Path) -> bool:
    """Does a living server hold the folder? A command that has the embedded database up does not count."""
    try:
        with (data_dir / _LOCK).open("rb") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except (FileNotFoundError, PermissionError):
        return False
    except BlockingIOError:
        return True
    return False
