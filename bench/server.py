"""SENT as a process of its own, with its database as another, and an organization to call in."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bench.process import wait_until
from sent.infra.db.embedded import EmbeddedPostgres

SIP_PORT, TLS_PORT, HTTP_PORT = 25_060, 25_061, 28_000
ROOT = Path(__file__).parent.parent
_OPTIONS = (
    "OPTIONS sip:127.0.0.1:{port} SIP/2.0\r\nVia: SIP/2.0/UDP 127.0.0.1:{own};branch=z9hG4bK{own}{count}\r\n"
    "From: <sip:probe@127.0.0.1>;tag=1\r\nTo: <sip:127.0.0.1>\r\nCall-ID: probe-{own}-{count}\r\nCSeq: 1 OPTIONS\r\n"
    "Max-Forwards: 70\r\nContent-Length: 0\r\n\r\n"
)


@dataclass(frozen=True, slots=True)
class Device:
    user: str
    password: str
    extension: str


@dataclass(frozen=True, slots=True)
class Server:
    pid: int
    environment: dict[str, str]
    started: float
    """time.monotonic() just before the process was made."""

    def add_people(self, count: int) -> list[Device]:
        """``count`` people with a phone each, in turn of one organization after the other (`bench.provision`)."""
        done = subprocess.run(
            [sys.executable, "-m", "bench.provision", str(count)],
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
            cwd=ROOT,
        )
        return [Device(**made) for made in json.loads(done.stdout)]


@contextlib.contextmanager
def database() -> Iterator[str]:
    """A durable PostgreSQL of our own; yields the owner's conninfo."""
    with tempfile.TemporaryDirectory(prefix="sent-bench-db-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "db")
        try:
            yield postgres.start()
        finally:
            postgres.stop()


@contextlib.contextmanager
def server(owner_dsn: str, *, core: int | None = None, wait: bool = True) -> Iterator[Server]:
    """`sent serve` on loopback, pinned to one ``core`` if given."""
    with tempfile.TemporaryDirectory(prefix="sent-bench-") as folder, (Path(folder) / "log").open("wb") as log:
        environment = {
            **{k: v for k, v in os.environ.items() if not k.startswith(("SENT_", "PYTHONDONTWRITE"))},
            "SENT_DATA_DIR": folder,
            "SENT_DATABASE_URL": owner_dsn,
            "SENT_SIP_PORT": str(SIP_PORT),
            "SENT_SIP_TLS_PORT": str(TLS_PORT),
            "SENT_HTTP_PORT": str(HTTP_PORT),
            "SENT_LOG": "json",
        }
        pin = ["taskset", "-c", str(core)] if core is not None else []
        started = time.monotonic()
        process = subprocess.Popen(
            [*pin, sys.executable, "-m", "sent.cli.main", "serve"],
            env=environment,
            stdout=log,
            stderr=log,
        )
        try:
            if wait:
                wait_until(answers_http, "SENT to answer HTTP")
                wait_until(lambda: answers_sip(0), "SENT to answer SIP")
            yield Server(process.pid, environment, started)
        except TimeoutError as error:
            raise TimeoutError(f"{error}; its log: {Path(log.name).read_text()[-2000:]}") from error
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def answers_http() -> bool:
    with contextlib.suppress(OSError), urllib.request.urlopen(f"http://127.0.0.1:{HTTP_PORT}/healthz", timeout=1) as r:
        return int(r.status) == 200
    return False


def answers_sip(count: int) -> bool:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as phone:
        phone.bind(("127.0.0.1", 0))
        phone.settimeout(0.05)
        own = phone.getsockname()[1]
        phone.sendto(_OPTIONS.format(port=SIP_PORT, own=own, count=count).encode(), ("127.0.0.1", SIP_PORT))
        with contextlib.suppress(OSError):
            return phone.recv(4096).startswith(b"SIP/2.0 200")
    return False
