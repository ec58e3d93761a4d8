"""Whom PostgreSQL runs as: it refuses to run as root, and should not.

Not root: ourselves. Root: the owner of an existing data folder, else the user ``sent`` where the administrator made
one (which keeps the data apart from other services that run as nobody), else ``nobody``. initdb wants a user with a
name, so a bare number does not do.
"""

from __future__ import annotations

import os
import pwd
import stat
from dataclasses import dataclass
from pathlib import Path

from sent.kit.errors import Unavailable

_CANDIDATES = ("sent", "nobody")


@dataclass(frozen=True, slots=True)
class RunAs:
    """``uid`` and ``gid`` are None when nothing is to be dropped."""

    uid: int | None = None
    gid: int | None = None

    def own(self, path: Path) -> None:
        if self.uid is not None and self.gid is not None:
            os.chown(path, self.uid, self.gid)


def choose(existing_data: Path) -> RunAs:
    """Raises `Unavailable` when we are root and there is nobody to become."""
    if os.geteuid() != 0:
        return RunAs()
    if existing_data.exists():
        owner = existing_data.stat()
        if owner.st_uid != 0:
            return RunAs(owner.st_uid, owner.st_gid)
    for name in _CANDIDATES:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        return RunAs(entry.pw_uid, entry.pw_gid)
    raise Unavailable(
        "db.no_unprivileged_user",
        "PostgreSQL does not run as root, and there is no user to run it as: add one (useradd --system sent), start"
        " SENT as an ordinary user, or set SENT_DATABASE_URL",
    )


def closed_folder(path: Path, run_as: RunAs) -> Path | None:
    """The first folder on the way to ``path`` that the dropped user cannot enter."""
    if run_as.uid is None:
        return None
    for folder in reversed(path.resolve().parents):
        try:
            status = folder.stat()
        except FileNotFoundError:
            return None  # still to be made, and then by us
        if status.st_uid == run_as.uid:
            may_enter = status.st_mode & stat.S_IXUSR
        elif status.st_gid == run_as.gid:
            may_enter = status.st_mode & stat.S_IXGRP
        else:
            may_enter = status.st_mode & stat.S_IXOTH
        if not may_enter:
            return folder
    return None


def can_hold_data(path: Path) -> bool:
    """Whether an embedded server could keep its data in ``path``: for choosing a default when started as root, whose
    home is usually closed to others.
    """
    return closed_folder(path / "cluster", choose(path / "cluster")) is None


def check_reachable(path: Path, run_as: RunAs) -> None:
    """Raises `Unavailable` that names the closed folder on the way to the data in ``path``, and what to do."""
    folder = closed_folder(path, run_as)
    if folder is not None and run_as.uid is not None:
        user = pwd.getpwuid(run_as.uid).pw_name
        raise Unavailable(
            "db.folder_closed",
            f"SENT runs as root and starts PostgreSQL as {user}, who cannot enter {folder} on the way to the data in"
            f" {path}; either open it for passing through (chmod o+x {folder}), or keep the data elsewhere (for"
            " example in /var/lib/sent), or start SENT as an ordinary user",
            folder=str(folder),
        )
