"""rtpengine in userspace (`--table=-1`), driven over its ng protocol (bencode in UDP)."""

from __future__ import annotations

import contextlib
import re
import secrets
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass

from bench.process import wait_until

_NG_PORT = 22_222
_AUDIO = re.compile(rb"m=audio (\d+)")


@dataclass(frozen=True, slots=True)
class RtpEngine:
    pid: int
    version: str

    def connect(self, caller_port: int, callee_port: int, caller_codec: int, callee_codec: int) -> tuple[int, int]:
        """One call between two loopback ports. Returns rtpengine's port towards the caller and towards the callee.

        Different payload types (0 PCMU, 8 PCMA) make it transcode.
        """
        call = secrets.token_hex(8)
        names = {0: "PCMU", 8: "PCMA"}
        offer: dict[str, object] = {
            "command": "offer",
            "call-id": call,
            "from-tag": "a",
            "sdp": _sdp(caller_port, caller_codec),
        }
        if caller_codec != callee_codec:
            offer["codec"] = {"mask": [names[caller_codec]], "transcode": [names[callee_codec]]}
        to_callee = _port(_ask(offer))
        answer = {"command": "answer", "call-id": call, "from-tag": "a", "to-tag": "b"}
        to_caller = _port(_ask({**answer, "sdp": _sdp(callee_port, callee_codec)}))
        return to_caller, to_callee


@contextlib.contextmanager
def rtpengine() -> Iterator[RtpEngine | None]:
    """A running rtpengine, or None where it is not installed."""
    program = shutil.which("rtpengine") or shutil.which("rtpengine", path="/usr/sbin:/usr/bin")
    if program is None:
        yield None
        return
    version = subprocess.run([program, "--version"], capture_output=True, text=True, check=True)
    with tempfile.NamedTemporaryFile() as log:
        process = subprocess.Popen(
            [
                program,
                "--foreground",
                "--log-stderr",
                "--log-level=3",
                "--table=-1",
                "--interface=127.0.0.1",
                f"--listen-ng=127.0.0.1:{_NG_PORT}",
                "--port-min=40000",
                "--port-max=49999",
                "--pidfile=/dev/null",
            ],
            stderr=log,
        )
        try:
            wait_until(lambda: _ask({"command": "ping"}).startswith(b"d6:result4:pong"), "rtpengine to answer a ping")
            yield RtpEngine(process.pid, (version.stdout + version.stderr).strip().splitlines()[0])
        finally:
            process.terminate()
            process.wait(10)


def _sdp(port: int, payload_type: int) -> str:
    return (
        f"v=0\r\no=- 1 1 IN IP4 127.0.0.1\r\ns=-\r\nc=IN IP4 127.0.0.1\r\nt=0 0\r\n"
        f"m=audio {port} RTP/AVP {payload_type}\r\na=sendrecv\r\n"
    )


def _ask(command: dict[str, object]) -> bytes:
    cookie = secrets.token_hex(8).encode()
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as channel:
        channel.settimeout(5)
        channel.connect(("127.0.0.1", _NG_PORT))
        channel.send(cookie + b" " + _bencode(command))
        answer = channel.recv(65_536)
    return answer.removeprefix(cookie + b" ")


def _port(answer: bytes) -> int:
    found = _AUDIO.search(answer)
    if found is None:
        raise RuntimeError(f"rtpengine gave no port: {answer[:300]!r}")
    return int(found[1])


def _bencode(value: object) -> bytes:
    match value:
        case int():
            return b"i%de" % value
        case str():
            octets = value.encode()
            return b"%d:%s" % (len(octets), octets)
        case list():
            return b"l" + b"".join(map(_bencode, value)) + b"e"
        case dict():
            return b"d" + b"".join(_bencode(k) + _bencode(value[k]) for k in sorted(value)) + b"e"
    raise TypeError(f"{type(value).__name__} is not part of the ng protocol")
