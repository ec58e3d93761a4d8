"""The embedded server: what it is allowed, what it survives, and what it says when it cannot run."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
import psycopg
import pytest

import sent
from sent.infra.db import Database, DatabaseSettings
from sent.infra.db import binaries as binaries_module
from sent.infra.db import embedded as embedded_module
from sent.infra.db.embedded import EmbeddedPostgres
from sent.kit.errors import Unavailable

pytestmark = pytest.mark.database

AS_ROOT = pytest.mark.skipif(os.geteuid() != 0, reason="only root has privileges to drop")


@pytest.fixture(scope="module")
def home() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="sent-embedded-") as folder:
        Path(folder).chmod(0o711)
        yield Path(folder)


@pytest.fixture
def server(home: Path) -> Iterator[EmbeddedPostgres]:
    """On a data folder that the tests of this module share, so that initdb runs once."""
    server = EmbeddedPostgres(home / "postgres", durable=False)
    yield server
    server.stop()


def ask(dsn: str, question: str) -> object:
    with psycopg.connect(dsn) as connection:
        row = connection.execute(question.encode()).fetchone()
    assert row is not None
    return row[0]


def runs(pid: int) -> bool:
    """A zombie does not: in a container there may be nobody who reaps orphans."""
    return psutil.pid_exists(pid) and psutil.Process(pid).status() != psutil.STATUS_ZOMBIE


def postmaster_pid(home: Path) -> int:
    return int((home / "postgres/cluster/postmaster.pid").read_text().split("\n", 1)[0])


def test_what_it_is_and_is_not_allowed(server: EmbeddedPostgres, home: Path) -> None:
    dsn = server.start()
    assert ask(dsn, "SHOW listen_addresses") == ""
    assert ask(dsn, "SHOW data_checksums") == "on"
    assert ask(dsn, "SELECT current_user || ' ' || (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)") == (
        "sent false"
    )
    assert ask(dsn, "SELECT lower('ÄÖ')") == "äö"
    assert ask(dsn, "SELECT string_agg(c, '' ORDER BY c) FROM unnest('{b,A,a,B}'::text[]) c") == "ABab"
    folder = home / "postgres"
    assert (folder / "run").stat().st_mode & 0o777 == 0o700
    assert (folder / "cluster").stat().st_mode & 0o777 == 0o700
    for secret in ("owner.password", "superuser.password"):
        assert (folder / secret).stat().st_mode & 0o777 == 0o600
        assert (folder / secret).stat().st_uid == os.geteuid()
    process = psutil.Process(server.pid)
    assert not process.net_connections(kind="inet")
    assert os.getpgid(process.pid) != os.getpgid(0)
    assert "PYTHONPATH" not in process.environ()


@AS_ROOT
def test_root_s_privileges_are_dropped(server: EmbeddedPostgres) -> None:
    server.start()
    process = psutil.Process(server.pid)
    assert 0 not in process.uids()
    assert 0 not in process.gids()


def test_a_wrong_password_is_refused_even_on_the_socket(server: EmbeddedPostgres) -> None:
    dsn = server.start()
    with pytest.raises(psycopg.OperationalError, match="password authentication failed"):
        psycopg.connect(dsn, password="guess")


def test_a_stop_is_clean_and_what_was_written_stays(server: EmbeddedPostgres, home: Path) -> None:
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE stays AS SELECT 42 AS answer")
    pid = server.pid
    server.stop()
    assert pid is not None
    assert not psutil.pid_exists(pid)
    assert "database system is shut down" in (home / "postgres/postgres.log").read_text()
    assert ask(server.start(), "SELECT answer FROM stays") == 42


def test_starting_twice_is_starting_once(server: EmbeddedPostgres) -> None:
    assert server.start() == server.start()


def test_a_second_sent_on_the_same_folder_is_refused(server: EmbeddedPostgres, home: Path) -> None:
    server.start()
    with pytest.raises(Unavailable, match="another SENT is running") as refused:
        EmbeddedPostgres(home / "postgres").start()
    assert refused.value.code == "db.data_folder_in_use"
    assert server.pid is not None


def test_the_orphan_of_a_killed_process_is_stopped_and_replaced(server: EmbeddedPostgres, home: Path) -> None:
    server.start()
    server.stop()
    program = (
        "import sys, time; from pathlib import Path; from sent.infra.db.embedded import EmbeddedPostgres;"
        "EmbeddedPostgres(Path(sys.argv[1]), durable=False).start(); print('up', flush=True); time.sleep(60)"
    )
    with subprocess.Popen(
        [sys.executable, "-c", program, str(home / "postgres")],
        stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(Path(sent.__file__).parents[1])},
    ) as killed:
        assert killed.stdout is not None
        assert killed.stdout.readline() == b"up\n"
        orphan = postmaster_pid(home)
        killed.kill()
    assert runs(orphan)
    assert ask(server.start(), "SELECT answer FROM stays") == 42
    assert server.pid != orphan
    assert not runs(orphan)


def test_a_pid_file_whose_number_is_somebody_else_s_by_now_does_not_block(server: EmbeddedPostgres, home: Path) -> None:
    server.start()
    server.stop()
    (home / "postgres/cluster/postmaster.pid").write_text(f"{os.getpid()}\n/elsewhere\n1\n5432\n/tmp\n\n1 1\nready\n")
    assert ask(server.start(), "SELECT 1") == 1


def test_a_first_start_that_was_cut_off_is_done_again(home: Path) -> None:
    half = home / "half"
    (half / "cluster.new").mkdir(parents=True)
    (half / "cluster.new/PG_VERSION").write_text("18\n")
    server = EmbeddedPostgres(half, durable=False)
    try:
        assert ask(server.start(), "SELECT 1") == 1
        server.stop()
        # Killed between making the owner and writing down its password.
        (half / "owner.password").unlink()
        assert ask(server.start(), "SELECT 1") == 1
    finally:
        server.stop()


def test_the_log_stays_under_its_limit_while_the_server_writes_on(
    server: EmbeddedPostgres, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    dsn = server.start()
    monkeypatch.setattr(embedded_module, "_LOG_LIMIT_BYTES", 10)
    server.bound_log()
    log = home / "postgres/postgres.log"
    assert log.stat().st_size == 0
    assert (home / "postgres/postgres.log.1").stat().st_size > 10
    with contextlib.suppress(psycopg.OperationalError):
        psycopg.connect(dsn, password="guess")
    assert log.read_bytes().startswith(b"20")  # a date, and not a hole of zeros


def test_what_failed_is_logged_without_what_it_contained(server: EmbeddedPostgres, home: Path) -> None:
    with psycopg.connect(server.start()) as connection:
        connection.execute("CREATE TABLE private (number text PRIMARY KEY)")
        for _ in range(2):
            with contextlib.suppress(psycopg.errors.UniqueViolation):
                connection.execute("INSERT INTO private VALUES (%s)", ("+4930123456",))
    text = (home / "postgres/postgres.log").read_text()
    assert "duplicate key" in text
    assert "4930123456" not in text


def test_data_of_a_version_that_is_not_installed_is_refused_in_words(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = home / "old"
    (old / "cluster").mkdir(parents=True)
    (old / "cluster/PG_VERSION").write_text("9\n")
    with pytest.raises(Unavailable, match="pg_upgrade"):
        EmbeddedPostgres(old).start()


@AS_ROOT
def test_a_closed_folder_on_the_way_is_named_with_the_remedy(home: Path) -> None:
    closed = home / "closed"
    closed.mkdir(mode=0o700)
    with pytest.raises(Unavailable, match=rf"chmod o\+x {closed}\)"):
        EmbeddedPostgres(closed / "postgres").start()


@AS_ROOT
def test_programs_in_a_closed_folder_are_copied_beside_the_data(home: Path) -> None:
    found = binaries_module.find_installation()
    closed = home / "venv"
    closed.mkdir(mode=0o700)
    package = found.bin_dir.parents[1]
    for tree in (package, package.with_name(f"{package.name}.libs")):
        if tree.exists():
            shutil.copytree(tree, closed / tree.name)
    installed = binaries_module.Installation(closed / found.bin_dir.relative_to(package.parent), found.major)
    server = EmbeddedPostgres(home / "copied", installation=installed, durable=False)
    try:
        for _ in range(2):
            assert ask(server.start(), "SELECT 1") == 1
            server.stop()
        (programs,) = (home / "copied/programs").iterdir()
        assert programs.name.startswith(str(found.major))
    finally:
        server.stop()


def test_a_folder_that_cannot_be_is_said(home: Path) -> None:
    (home / "file").write_text("")
    with pytest.raises(Unavailable, match="cannot be used"):
        EmbeddedPostgres(home / "file/postgres").start()


def test_a_long_path_moves_the_socket_and_nothing_else(home: Path) -> None:
    server = EmbeddedPostgres(home / ("long" * 30), durable=False)
    try:
        assert ask(server.start(), "SELECT 1") == 1
        assert not (home / ("long" * 30) / "run").exists()
        assert server._socket_dir().stat().st_mode & 0o777 == 0o700
    finally:
        server.stop()
        with contextlib.suppress(FileNotFoundError):
            server._socket_dir().rmdir()


def test_the_machine_s_postgresql_serves_where_the_wheel_is_absent(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(binaries_module, "_wheel_bin_dir", lambda: None)
    try:
        found = binaries_module.find_installation()
    except Unavailable:
        pytest.skip("no PostgreSQL is installed on this machine")
    server = EmbeddedPostgres(home / "machine", durable=False)
    try:
        assert ask(server.start(), "SELECT current_setting('server_version_num')::int / 10000") == found.major
        assert ask(server.start(), "SELECT lower('ÄÖ')") == "äö"
    finally:
        server.stop()


async def test_a_server_that_died_is_started_again(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sent.infra.db.database._SUPERVISION_S", 0.05)
    database = await Database.open(DatabaseSettings(data_dir=home / "postgres"))
    try:
        await database.ping(5.0)
        killed = postmaster_pid(home)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(60):  # a crash is recovered from as fast as the disk is
            while database._embedded is None or database._embedded.pid in (None, killed):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.02)
            while True:
                with contextlib.suppress(Unavailable):
                    await database.ping(10.0)
                    break
    finally:
        await database.close()
    assert not (home / "postgres/cluster/postmaster.pid").exists()


def test_a_log_that_cannot_be_kept_is_cut(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_room(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(shutil, "copyfile", no_room)
    monkeypatch.setattr(embedded_module, "_LOG_LIMIT_BYTES", 10)
    server = EmbeddedPostgres(home / "logs")
    server.log_path.parent.mkdir()
    server.log_path.write_text("x" * 100)
    server.bound_log()
    assert server.log_path.stat().st_size == 0


async def test_supervision_survives_a_disk_that_is_full(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sent.infra.db.database._SUPERVISION_S", 0.05)
    database = await Database.open(DatabaseSettings(data_dir=home / "postgres"))
    try:
        assert database._embedded is not None
        full = threading.Event()

        def bound_log() -> None:
            if not full.is_set():
                full.set()
                raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(database._embedded, "bound_log", bound_log)
        assert await asyncio.to_thread(full.wait, 5)
        killed = postmaster_pid(home)
        os.kill(killed, signal.SIGKILL)
        async with asyncio.timeout(60):
            while database._embedded.pid in (None, killed):  # noqa: ASYNC110  # no event
                await asyncio.sleep(0.02)
    finally:
        await database.close()


def test_a_full_disk_at_the_first_start_is_said_and_the_next_start_begins_anew(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    server = EmbeddedPostgres(home / "full", durable=False)

    def no_room(_role: str, _password: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device", str(home / "full/superuser.password"))

    with monkeypatch.context() as patch:
        patch.setattr(server, "_write_password", no_room)
        with pytest.raises(Unavailable, match=r"No space left on device \(.*superuser.password\); make room"):
            server.start()
    try:
        assert ask(server.start(), "SELECT 1") == 1
    finally:
        server.stop()


def test_two_starts_at_once_are_one_server_and_one_refusal(home: Path) -> None:
    servers = [EmbeddedPostgres(home / "postgres", durable=False) for _ in range(2)]
    try:
        with ThreadPoolExecutor(2) as threads:
            outcomes = [start.exception() for start in [threads.submit(server.start) for server in servers]]
        refusals = [outcome for outcome in outcomes if outcome is not None]
        assert len(refusals) == 1
        assert isinstance(refusals[0], Unavailable)
        assert refusals[0].code == "db.data_folder_in_use"
    finally:
        for server in servers:
            server.stop()


def test_damaged_data_is_said(home: Path) -> None:
    (home / "damaged/cluster").mkdir(parents=True)
    (home / "damaged/cluster/PG_VERSION").write_text("\0\0")
    with pytest.raises(Unavailable, match="put the folder back from the backup"):
        EmbeddedPostgres(home / "damaged").start()


@AS_ROOT
def test_a_folder_of_an_earlier_start_as_root_is_said_to_an_ordinary_user(home: Path) -> None:
    folder = home / "roots"
    folder.mkdir()
    (folder / "lock").touch(0o600)
    os.chown(folder, 65534, 65534)
    program = (
        "import os, sys; from pathlib import Path; from sent.infra.db.embedded import EmbeddedPostgres\n"
        "os.setgid(65534); os.setuid(65534)\n"
        "try: EmbeddedPostgres(Path(sys.argv[1])).start()\n"
        "except Exception as error: print(type(error).__name__, error)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, str(folder)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.stdout.startswith("Unavailable the data folder"), done.stderr
    assert "Permission denied" in done.stdout
    assert "belong to the user that runs it" in done.stdout


async def test_the_doors_while_the_server_is_away_and_after(
    server: EmbeddedPostgres, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sent.infra.db.database.POOL_WAIT_S", 0.3)
    database = await Database.open(DatabaseSettings(url=server.start(), pool_size=3))
    try:
        await database.ping(5.0)
        await asyncio.to_thread(server.stop)
        for _ in range(3):
            with pytest.raises(Unavailable, match="does not answer"):
                await database.ping(5.0)
        await asyncio.to_thread(server.start)
        monkeypatch.setattr("sent.infra.db.database.POOL_WAIT_S", 5.0)
        await database.ping(5.0)
    finally:
        await database.close()


async def test_opening_that_fails_leaves_no_server_behind(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(_dsn: str) -> str:
        raise Unavailable("db.test", "no")

    monkeypatch.setattr("sent.infra.db.database.prepare", fail)
    with pytest.raises(Unavailable):
        await Database.open(DatabaseSettings(data_dir=home / "postgres"))
    assert not (home / "postgres/cluster/postmaster.pid").exists()


async def test_a_url_that_leads_nowhere_is_unavailable_in_words() -> None:
    with pytest.raises(Unavailable, match="SENT_DATABASE_URL"):
        await Database.open(DatabaseSettings(url="postgresql://sent@127.0.0.1:1/sent"))
