"""Commands that are used wrongly, or that find something broken: one sentence, status 1 or 2, never a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from tests.faults.serving import Server, server_folder

pytestmark = pytest.mark.faults


def run(environment: dict[str, str], *words: str, cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "sent.cli.main", *words],
        env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False, cwd=cwd,
    )  # fmt: skip


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    """What it said, when it failed as it should."""
    assert done.returncode in (1, 2), (done.returncode, done.stdout, done.stderr)
    assert "Traceback" not in done.stderr, done.stderr
    lines = done.stderr.strip().splitlines()
    if done.returncode == 2:
        return lines[-1]  # after the usage
    assert len(lines) == 1, lines
    assert lines[0].startswith("sent: ")
    return lines[0]


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with server_folder() as folder:
        server = Server(folder)
        try:
            server.start()
            for line in (
                "organization add Acme",
                "organization add Empty",
                "user add Alice --extension 101 --organization acme",
                "device add 101 --organization acme",
            ):
                made = run(server.environment, *line.split())
                assert made.returncode == 0, (line, made.stderr)
            yield server
        finally:
            server.end()


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("fly", "no command 'fly'"),
        ("calls --before nonsense", "nonsense"),
        ("calls --limit ten", "ten"),
        ("calls --limit -5 --organization acme", "limit"),
        ("calls show zz --organization acme", "hexadecimal"),
        ("calls show 01a1fa84 --organization acme", "01a1fa84"),
        (f"calls show {uuid4()} --organization acme", "call"),
        ("calls hangup nonsense", ""),
        ("calls --organization nobody", "nobody"),
        ("calls", "--organization"),
        ("recordings export", "required"),
        ("recordings export ffff --organization acme", "ffff"),
        ("recordings export ffff --format mp9 --organization acme", "mp9"),
        ("recordings list --organization nobody", "nobody"),
        ("user add", "required"),
        ("user list --organization nobody", "nobody"),
        ("user add Eve --extension twelve --organization acme", ""),
        ("device add 999 --organization acme", "999"),
        ("extension add 12 --user nobody --organization acme", "nobody"),
        ("extension add abc --echo --organization acme", "digits"),
        ("extension remove 12345 --organization acme", "12345"),
        ("trunk add", "required"),
        ("trunk remove nothing --organization acme", "nothing"),
        ("trunk add x --server exa mple", ""),
        ("number add none +12025550190 101 --organization acme", "none"),
        ("organization add", "required"),
        ("organization add Acme", ""),
        ("dial", "required"),
        ("dial 600 --digits 12x", "Digits"),
        ("dial 600 --play /nowhere.wav --organization acme", "nowhere.wav"),
        ("dial 600 --play /etc/hostname --organization acme", "hostname"),
        ("dial 600 --server nonsense --user x", "HOST:PORT"),
        ("dial 600 --organization empty", "phone"),
        ("audit", ""),
        ("doctor --nonsense", "nonsense"),
        ("settings --nonsense", "nonsense"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_sentence(server: Server, line: str, words: str) -> None:
    done = run(server.environment, *line.split())
    assert words in (sentence_of(done) + (done.stderr if done.returncode == 2 else ""))


_AS_NOBODY = """
import importlib, os, pkgutil, pwd, sys, sent
for module in pkgutil.walk_packages(sent.__path__, "sent."):  # while it may still read them
    if module.name != "sent.media._engine":
        importlib.import_module(module.name)
nobody = pwd.getpwnam("nobody")
os.setgroups([])
os.setgid(nobody.pw_gid)
os.setuid(nobody.pw_uid)
sys.exit(sys.modules["sent.cli.main"].main(sys.argv[1:]))
"""
COMMANDS = ("calls", "recordings list", "trunk list", "user list", "extension list", "audit verify", "dial 600")


@pytest.mark.parametrize("line", COMMANDS)
def test_a_database_that_is_away_is_said(server: Server, line: str) -> None:
    away = {"SENT_DATABASE_URL": "postgresql://sent:secretword@127.0.0.1:1/sent"}
    said = sentence_of(run(server.environment | away, *line.split()))
    assert "the database does not answer" in said
    assert "secretword" not in said


def test_a_data_folder_that_cannot_be_used_is_said(server: Server, tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.touch()
    for command in ("calls", "serve", "doctor", "dial 600"):
        done = run(server.environment | {"SENT_DATA_DIR": str(file)}, *command.split())
        assert "Traceback" not in done.stderr, done.stderr
        assert done.returncode == 1
        assert str(file) in done.stderr + done.stdout


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody who may not read the folder")
@pytest.mark.parametrize("line", ["calls", "recordings list", "serve", "dial 600", "doctor"])
def test_a_data_folder_that_may_not_be_read_is_said(server: Server, line: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", _AS_NOBODY, *line.split()],
        env=server.environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    assert done.returncode == 1
    assert str(server.settings.data_dir) in done.stderr + done.stdout
