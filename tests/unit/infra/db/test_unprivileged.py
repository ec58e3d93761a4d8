from __future__ import annotations

import os
import pwd
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from sent.infra.db import unprivileged
from sent.infra.db.unprivileged import RunAs, can_hold_data, check_reachable, choose, closed_folder
from sent.kit.errors import Unavailable


def test_an_ordinary_user_drops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    assert choose(tmp_path) == RunAs()


def test_root_becomes_somebody_with_a_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    become = choose(tmp_path / "absent")
    assert become.uid
    assert pwd.getpwuid(become.uid).pw_name in ("sent", "nobody")


def test_root_without_anybody_to_become_hears_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unprivileged, "_CANDIDATES", ())
    with pytest.raises(Unavailable, match="useradd"):
        choose(tmp_path / "absent")


@pytest.fixture
def stranger() -> RunAs:
    """Somebody who owns none of the folders, whoever runs the tests."""
    entry = pwd.getpwnam("daemon")
    return RunAs(entry.pw_uid, entry.pw_gid)


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """pytest's own folders are closed to others."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


def test_a_folder_that_others_cannot_enter_is_named(open_folder: Path, stranger: RunAs) -> None:
    closed = open_folder / "closed"
    closed.mkdir(mode=0o700)
    assert closed_folder(closed / "below" / "data", stranger) == closed
    with pytest.raises(Unavailable, match=r"chmod o\+x") as refused:
        check_reachable(closed / "data", stranger)
    assert refused.value.details["folder"] == str(closed)


def test_what_is_not_there_yet_is_made_passable(open_folder: Path, stranger: RunAs) -> None:
    assert closed_folder(open_folder / "new" / "data", stranger) is None


def test_an_ordinary_user_is_never_in_its_own_way(tmp_path: Path) -> None:
    assert closed_folder(tmp_path / "data", RunAs()) is None


def test_root_can_ask_before_choosing_a_place(open_folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    monkeypatch.setattr(unprivileged, "_CANDIDATES", ("daemon",))
    (open_folder / "closed").mkdir(mode=0o700)
    assert can_hold_data(open_folder / "postgres")
    assert not can_hold_data(open_folder / "closed" / "postgres")
