"""An embedded PostgreSQL under our own supervision.

    data_dir/              0700 (0711 when root: the dropped user passes through)
      lock                 held while we live; a second SENT on the same folder is refused
      superuser.password   0600, ours; only for repairs
      owner.password       0600, ours; the owner of the database `sent`, not a superuser
      postgres.log         bounded
      cluster/             PGDATA, 0700, owned by whom PostgreSQL runs as
      programs/            a copy of PostgreSQL, only where the dropped user cannot reach the installed one
      run/                 the socket, 0700; no TCP port at all

The server is a child in a process group of its own (Ctrl-C in the terminal is for us, we stop it in order). When
we are killed it stays behind as an orphan; the next start finds it by its pid file and stops it first. PDEATHSIG was
the alternative: it follows the thread that forked, not the process, and is cleared by the change of user.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import threading
import time
from pathlib import Path

import psycopg
from psycopg import sql
from psycopg.conninfo import make_conninfo

from sent.infra.db import postmaster, unprivileged
from sent.infra.db.binaries import Installation, find_installation, reachable_copy
from sent.kit.errors import Unavailable

OWNER = "sent"
DATABASE = "sent"
SUPERUSER = "postgres"

_START_TIMEOUT_S = 60.0  # recovery after a crash replays the log first
_FAST_STOP_S = 10.0  # writes a checkpoint of at most 32 MB
_KILL_S = 5.0
_INITDB_TIMEOUT_S = 120.0
_POLL_S = 0.003
_LOG_LIMIT_BYTES = 4 << 20
_SOCKET_PATH_LIMIT = 100  # sun_path has 108 bytes on Linux and 104 on macOS

# For a small machine: the phone system is the main tenant of its memory.
_SETTINGS = {
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "password_encryption": "scram-sha-256",
    "max_connections": "50",
    "shared_buffers": "32MB",
    "work_mem": "4MB",
    "maintenance_work_mem": "32MB",
    "effective_cache_size": "256MB",
    "wal_level": "minimal",
    "max_wal_senders": "0",
    "min_wal_size": "32MB",
    "max_wal_size": "256MB",
    "max_worker_processes": "2",
    "max_parallel_workers_per_gather": "0",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    "log_destination": "stderr",
    "logging_collector": "off",
    "log_checkpoints": "off",
    # What fails may be told, what it contained may not: no statement, no parameter.
    "log_min_error_statement": "panic",
    "log_parameter_max_length_on_error": "0",
    "log_error_verbosity": "terse",
}
_SETTINGS_SINCE = {18: {"io_method": "sync"}}  # no idle I/O worker processes
_NOT_DURABLE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}


class EmbeddedPostgres:
    """``start`` and ``stop`` block; both may be called again. ``durable=False`` is for tests only."""

    def __init__(self, data_dir: Path, *, installation: Installation | None = None, durable: bool = True) -> None:
        self._dir = data_dir.expanduser().absolute()
        self._cluster = self._dir / "cluster"
        self._log_path = self._dir / "postgres.log"
        self._chosen_installation = installation
        self._durable = durable
        self._turn = threading.Lock()  # a stop that comes during a restart waits, and then stops
        self._lock_fd: int | None = None
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process and self._process.poll() is None else None

    @property
    def log_path(self) -> Path:
        return self._log_path

    def start(self) -> str:
        """Start (initialising at the first time) and return the owner's conninfo. Raises `Unavailable` in words."""
        with self._turn:
            return self._start()

    def _start(self) -> str:
        if self.pid is not None:
            return self.owner_dsn()
        try:
            self._make_dir()
            self._lock()
            return self._start_in_dir()
        except OSError as error:  # a full disk, or files of another user from a start as root
            raise Unavailable(
                "db.data_folder",
                f"the data folder {self._dir} cannot be used: {error.strerror or error}"
                f" ({error.filename or 'no file'}); make room, or give SENT a folder that it may write and whose files"
                " belong to the user that runs it",
            ) from error

    def _start_in_dir(self) -> str:
        try:
            run_as = unprivileged.choose(self._cluster)
            installation = self._chosen_installation or find_installation(self._existing_major())
            unprivileged.check_reachable(self._cluster, run_as)
            if unprivileged.closed_folder(installation.postgres, run_as) is not None:
                installation = reachable_copy(installation, self._dir / "programs")
            if self._cluster.exists():
                postmaster.stop_orphan(self._cluster)
            else:
                self._initdb(installation, run_as)
            self._launch(installation, run_as)
            if not self._password_path(OWNER).exists():
                self._make_owner()
        except BaseException:
            self._stop()
            raise
        return self.owner_dsn()

    def stop(self) -> None:
        """Fast shutdown; immediate when that takes too long, a kill when that does (the log is then replayed at the
        next start). Returns within 20 s, also when the server hangs.
        """
        with self._turn:
            self._stop()

    def _stop(self) -> None:
        process, self._process = self._process, None
        if process is not None and process.poll() is None:
            steps = ((signal.SIGINT, _FAST_STOP_S), (signal.SIGQUIT, _KILL_S), (signal.SIGKILL, _KILL_S))
            for number, patience in steps:
                process.send_signal(number)
                # Also a kill may take no effect, in a process that waits for a dead disk: then it is the next start's.
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(patience)
                    break
        if self._lock_fd is not None:
            os.close(self._lock_fd)
            self._lock_fd = None

    def restart(self) -> None:
        """After the server died by itself."""
        with self._turn:
            self._stop()
            self._start()

    def bound_log(self) -> None:
        """Keep the log under its limit; called now and then while running. One older part is kept."""
        with contextlib.suppress(FileNotFoundError):
            if self._log_path.stat().st_size > _LOG_LIMIT_BYTES:
                # The server holds the file open for appending: copy and cut, a rename would be followed.
                with contextlib.suppress(OSError):  # no room for the older part: the database is worth more
                    shutil.copyfile(self._log_path, self._log_path.with_suffix(".log.1"))
                os.truncate(self._log_path, 0)

    # -- folders ----------------------------------------------------------------------------------------------

    def _make_dir(self) -> None:
        self._dir.mkdir(parents=True, exist_ok=True)
        self._dir.chmod(0o711 if os.geteuid() == 0 else 0o700)

    def _lock(self) -> None:
        fd = os.open(self._dir / "lock", os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(fd)
            raise Unavailable(
                "db.data_folder_in_use",
                f"another SENT is running on the data folder {self._dir}; stop it, or give this one another folder",
            ) from error
        self._lock_fd = fd

    def _socket_dir(self) -> Path:
        """Beside the data, unless that path is too long for a socket's address."""
        beside = self._dir / "run"
        if len(os.fsencode(beside)) + len("/.s.PGSQL.5432") <= _SOCKET_PATH_LIMIT:
            return beside
        name = hashlib.sha256(os.fsencode(self._dir)).hexdigest()[:16]
        return Path(tempfile.gettempdir()) / f"sent-{os.geteuid()}-{name}"

    def _make_socket_dir(self, run_as: unprivileged.RunAs) -> Path:
        folder = self._socket_dir()
        folder.mkdir(mode=0o700, exist_ok=True)
        owner = folder.lstat().st_uid
        if folder.is_symlink() or owner not in (os.geteuid(), run_as.uid):
            raise Unavailable("db.socket_folder", f"{folder} belongs to somebody else (user {owner}); remove it")
        run_as.own(folder)
        folder.chmod(0o700)
        return folder

    def _existing_major(self) -> int | None:
        try:
            return int((self._cluster / "PG_VERSION").read_text())
        except FileNotFoundError:
            return None
        except ValueError as error:
            raise Unavailable(
                "db.data_damaged",
                f"{self._cluster / 'PG_VERSION'} does not name a version of PostgreSQL: the data are damaged; put the"
                " folder back from the backup",
            ) from error

    # -- passwords --------------------------------------------------------------------------------------------

    def _password_path(self, role: str) -> Path:
        return self._dir / ("superuser.password" if role == SUPERUSER else "owner.password")

    def _write_password(self, role: str, password: str) -> None:
        path = self._password_path(role)
        part = path.with_suffix(".part")
        fd = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(fd, "w") as file:
            file.write(password)
            file.flush()
            os.fsync(file.fileno())
        part.rename(path)

    def _dsn(self, role: str, database: str) -> str:
        try:
            password = self._password_path(role).read_text()
        except OSError as error:
            raise Unavailable(
                "db.password_file",
                f"{self._password_path(role)} cannot be read ({error.strerror}); put it back from the backup",
            ) from error
        return make_conninfo(
            host=str(self._socket_dir()), user=role, password=password, dbname=database, connect_timeout=5
        )

    def owner_dsn(self) -> str:
        """Of the database `sent`, whoever runs its server. Raises `Unavailable` without the password file."""
        return self._dsn(OWNER, DATABASE)

    def superuser_dsn(self) -> str:
        """For repairs and tests; the server itself never uses it after the first start."""
        return self._dsn(SUPERUSER, "postgres")

    # -- the first start --------------------------------------------------------------------------------------

    def _initdb(self, installation: Installation, run_as: unprivileged.RunAs) -> None:
        """Into a folder beside, renamed when whole, so that a start that was cut off is simply done again."""
        fresh = self._dir / "cluster.new"
        shutil.rmtree(fresh, ignore_errors=True)
        fresh.mkdir(mode=0o700)
        run_as.own(fresh)
        password = secrets.token_urlsafe(24)
        self._password_path(OWNER).unlink(missing_ok=True)  # of a cluster that is gone
        self._write_password(SUPERUSER, password)
        locale = (
            ["--locale-provider=builtin", "--builtin-locale=C.UTF-8", "--locale=C"]
            if installation.major >= 17
            else ["--locale=C.UTF-8"]
        )
        command = [
            *(str(installation.initdb), "-D", str(fresh), "-U", SUPERUSER, "--encoding=UTF8", *locale),
            *("--data-checksums", "--auth-local=scram-sha-256", "--auth-host=reject", "--no-instructions"),
        ]
        if not self._durable:
            command.append("--no-sync")
        with tempfile.NamedTemporaryFile("w", dir=fresh.parent, prefix="initdb-", suffix=".pw") as pwfile:
            pwfile.write(password)
            pwfile.flush()
            run_as.own(Path(pwfile.name))
            try:
                done = subprocess.run(  # noqa: S603  # our own command line
                    [*command, f"--pwfile={pwfile.name}"],
                    capture_output=True,
                    text=True,
                    timeout=_INITDB_TIMEOUT_S,
                    check=False,
                    cwd="/",
                    env=self._environment(),
                    user=run_as.uid,
                    group=run_as.gid,
                    extra_groups=None if run_as.uid is None else [],
                )
            except subprocess.TimeoutExpired as error:
                raise Unavailable("db.initdb_failed", "making the database took too long; check the disk") from error
        if done.returncode != 0:
            shutil.rmtree(fresh, ignore_errors=True)
            raise Unavailable("db.initdb_failed", f"making the database failed: {done.stderr.strip()[-500:]}")
        fresh.rename(self._cluster)

    def _make_owner(self) -> None:
        """Owner and database. Done again from the start when a start was cut off in between."""
        password = secrets.token_urlsafe(24)
        owner, database = sql.Identifier(OWNER), sql.Identifier(DATABASE)
        with psycopg.connect(self.superuser_dsn(), autocommit=True) as connection:
            if connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (OWNER,)).fetchone() is None:
                # Not a superuser: so the policies bind it here as they do on anybody's managed server.
                connection.execute(sql.SQL("CREATE ROLE {} LOGIN CREATEROLE").format(owner))
            connection.execute(sql.SQL("ALTER ROLE {} PASSWORD {}").format(owner, password))
            if connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (DATABASE,)).fetchone() is None:
                connection.execute(sql.SQL("CREATE DATABASE {} OWNER {}").format(database, owner))
        self._write_password(OWNER, password)

    # -- the process ------------------------------------------------------------------------------------------

    def _environment(self) -> dict[str, str]:
        """Nothing of ours: PG* variables and secrets in our environment are not the server's business."""
        return {"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"}

    def _launch(self, installation: Installation, run_as: unprivileged.RunAs) -> None:
        socket_dir = self._make_socket_dir(run_as)
        settings = {**_SETTINGS, "unix_socket_directories": str(socket_dir)}
        for since, more in _SETTINGS_SINCE.items():
            if installation.major >= since:
                settings.update(more)
        if not self._durable:
            settings.update(_NOT_DURABLE)
        self.bound_log()
        log_fd = os.open(self._log_path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        try:
            self._process = subprocess.Popen(  # noqa: S603  # our own command line
                [
                    *(str(installation.postgres), "-D", str(self._cluster)),
                    *(word for name, value in settings.items() for word in ("-c", f"{name}={value}")),
                ],
                stdin=subprocess.DEVNULL,
                stdout=log_fd,
                stderr=log_fd,
                cwd="/",
                env=self._environment(),
                process_group=0,
                umask=0o077,
                user=run_as.uid,
                group=run_as.gid,
                extra_groups=None if run_as.uid is None else [],
            )
        finally:
            os.close(log_fd)
        deadline = time.monotonic() + _START_TIMEOUT_S
        while postmaster.read_status(self._cluster) != "ready" or not self._pid_file_is_ours():
            if (code := self._process.poll()) is not None:
                raise Unavailable("db.start_failed", f"PostgreSQL stopped at once (status {code}): {self._log_tail()}")
            if time.monotonic() > deadline:
                raise Unavailable(
                    "db.start_failed", f"PostgreSQL is not up after {_START_TIMEOUT_S:.0f} s: {self._log_tail()}"
                )
            time.sleep(_POLL_S)

    def _pid_file_is_ours(self) -> bool:
        try:
            first_line = (self._cluster / "postmaster.pid").read_text().split("\n", 1)[0]
        except FileNotFoundError:
            return False
        return self._process is not None and first_line.strip() == str(self._process.pid)

    def _log_tail(self) -> str:
        try:
            lines = self._log_path.read_text(errors="replace").strip().splitlines()
        except FileNotFoundError:
            return "no log"
        return " / ".join(lines[-3:])
