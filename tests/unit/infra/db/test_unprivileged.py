from __future__ import annotations

import os
import pwd
from pathlib import Path

import pytest

from sent.infra.db import unprivileged
from sent.infra.db.unprivileged import RunAs, check_reachable, choose
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


def test_a_folder_that_others_cannot_enter_is_named(tmp_path: Path) -> None:
    tmp_path.chmod(0o711)
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    nobody = RunAs(pwd.getpwnam("nobody").pw_uid, pwd.getpwnam("nobody").pw_gid)
    for parent in tmp_path.parents:
        if not parent.stat().st_mode & 0o001:
            closed = parent  # the folders of a test run are closed themselves
    with pytest.raises(Unavailable, match=r"chmod o\+x") as refused:
        check_reachable(tmp_path / "closed" / "data", nobody, "the data")
    assert refused.value.details["folder"] in {str(tmp_path / "closed"), *map(str, tmp_path.parents)}


def test_the_first_owner_of_the_way_is_enough(tmp_path: Path) -> None:
    check_reachable(tmp_path / "data", RunAs(), "the data")
    check_reachable(Path("/usr/bin/env"), RunAs(65534, 65534), "a program")
