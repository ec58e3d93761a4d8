"""`sent serve` as a process that tests may stop, kill and start again, and what can be seen of it from outside."""

from __future__ import annotations

import contextlib
import http.client
import os
import re
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import psutil

from sent.app.settings import Settings, read_settings
from tests.faults.log_hygiene import secrets_in
from tests.interop.ports import free_port_block
from tests.interop.product import Product

_ROOT = Path(__file__).parents[2]
_STARTS_WITHIN_S = 60.0
RTP_PORTS = 200


class Server:
    """Ports and folder stay the same over restarts. ``program`` is Python text to run instead of the command."""

    def __init__(self, folder: Path, program: str | None = None, **environment: str) -> None:
        self.folder = folder
        self.log = folder / "log"
        self.program = program
        ports, rtp = free_port_block(4), free_port_block(RTP_PORTS)
        self.environment = {key: value for key, value in os.environ.items() if not key.startswith("SENT_")} | {
            "PYTHONPATH": str(_ROOT / "src"),
            "SENT_DATA_DIR": str(folder / "data"),
            "SENT_SIP_PORT": str(ports),
            "SENT_SIP_TLS_PORT": str(ports + 1),
            "SENT_HTTP_PORT": str(ports + 2),
            "SENT_RTP_PORTS": f"{rtp}-{rtp + RTP_PORTS - 1}",
            "SENT_LOG": "json",
            **environment,
        }
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def settings(self) -> Settings:
        return read_settings(self.environment)

    @property
    def product(self) -> Product:
        return Product(self.settings, self.environment, self.log)

    @property
    def pid(self) -> int:
        assert self.process is not None
        return self.process.pid

    def launch(self) -> subprocess.Popen[bytes]:
        """Start, and do not wait for anything."""
        code = ["-m", "sent.cli.main", "serve"] if self.program is None else ["-c", self.program]
        with self.log.open("ab") as out:
            self.process = subprocess.Popen(
                [sys.executable, *code], env=self.environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out
            )
        return self.process

    def start(self) -> float:
        """Start and wait until it is ready. Returns the seconds that this took."""
        began = time.monotonic()
        process = self.launch()
        while (took := time.monotonic() - began) < _STARTS_WITHIN_S:
            if process.poll() is not None:
                raise RuntimeError(f"SENT ended at its start ({process.returncode}): {self.log_text()[-4000:]}")
            with contextlib.suppress(OSError, http.client.HTTPException):
                if self.http("/readyz") is not None:
                    return took
            time.sleep(0.03)
        raise RuntimeError(f"SENT was not ready after {_STARTS_WITHIN_S:g} s: {self.log_text()[-4000:]}")

    def http(self, path: str, seconds: float = 2.0) -> str | None:
        """The body of a 200; None for any other answer."""
        with contextlib.suppress(urllib.error.HTTPError):
            address = f"http://127.0.0.1:{self.settings.http_port}{path}"
            with urllib.request.urlopen(address, timeout=seconds) as answer:
                return str(answer.read().decode())
        return None

    def metrics(self) -> dict[str, float]:
        """All samples, by name with labels as they are written."""
        text = self.http("/metrics", 5.0)
        assert text is not None
        return {name: float(value) for name, value in re.findall(r"^([^#\s]\S*) (\S+)$", text, re.MULTILINE)}

    def signal(self, number: signal.Signals) -> None:
        assert self.process is not None
        self.process.send_signal(number)

    def wait(self, seconds: float) -> int:
        assert self.process is not None
        return self.process.wait(seconds)

    def kill(self) -> None:
        """As a power cut would, for this process alone: PostgreSQL stays behind."""
        self.signal(signal.SIGKILL)
        self.wait(10)

    def stop(self, seconds: float = 40.0) -> int:
        self.signal(signal.SIGTERM)
        return self.wait(seconds)

    def postgres(self) -> list[psutil.Process]:
        """Postmasters that serve this folder, whoever their parent is now."""
        return [
            process
            for process in psutil.process_iter(["cmdline"])
            if str(self.folder / "data" / "postgres" / "cluster") in (process.info["cmdline"] or [])
        ]

    def log_text(self) -> str:
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def end(self) -> None:
        """At the end of a test: nothing of it runs on, whatever state it is in."""
        if self.process is not None and self.process.poll() is None:
            self.process.send_signal(signal.SIGCONT)
            self.process.terminate()
            try:
                self.process.wait(5)
            except subprocess.TimeoutExpired:
                self.process.terminate()  # the second time hurries
                try:
                    self.process.wait(20)
                except subprocess.TimeoutExpired:
                    self.process.kill()
                    self.process.wait()
        for postmaster in self.postgres():
            with contextlib.suppress(psutil.NoSuchProcess):
                for process in (*postmaster.children(), postmaster):
                    process.resume()
                postmaster.send_signal(signal.SIGQUIT)
                postmaster.wait(10)


@contextlib.contextmanager
def server_folder() -> Iterator[Path]:
    """Not pytest's tmp_path: its parents are closed to the user that PostgreSQL runs as when the tests run as root."""
    with tempfile.TemporaryDirectory(prefix="sent-faults-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        yield folder


@contextlib.contextmanager
def serving(program: str | None = None, **environment: str) -> Iterator[Server]:
    """A server that is ready, with everything of its own. Whatever becomes of it, nothing is left at the end, and
    its log holds no secret."""
    with server_folder() as folder:
        server = Server(folder, program, **environment)
        try:
            server.start()
            yield server
        finally:
            server.end()
        assert secrets_in(server.log_text(), server.settings.data_dir) == []
