"""baresip as a phone: a process of its own, steered over its TCP control port, its audio read from the WAV files
that its `sndfile` module writes (``dec``: what it heard, ``enc``: what it said)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
import struct
import wave
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.ports import free_port_block
from tests.interop.tones import write_tone

PROGRAM = shutil.which("baresip")
_MODULES = ("g711", "opus", "aufile", "aubridge", "sndfile", "srtp")


@dataclass
class Baresip:
    folder: Path
    control_port: int
    events: list[dict[str, Any]] = field(default_factory=list)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def command(self, name: str, parameters: str = "") -> None:
        assert self._writer is not None
        message = json.dumps({"command": name, "params": parameters, "token": name}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        await self._writer.drain()

    async def dial(self, uri: str) -> None:
        await self.command("dial", uri)

    async def answer(self) -> None:
        await self.command("accept")

    async def hang_up(self) -> None:
        await self.command("hangup")

    async def hold(self) -> None:
        await self.command("hold")

    async def resume(self) -> None:
        await self.command("resume")

    async def press(self, digits: str) -> None:
        for digit in digits:
            await self.command("sndcode", digit)

    async def wait_for(self, kind: str, seconds: float = 10, count: int = 1) -> dict[str, Any]:
        """The ``count``-th event of ``kind`` (``REGISTER_OK``, ``CALL_ESTABLISHED``, ``CALL_CLOSED`` …)."""
        async with asyncio.timeout(seconds):
            while True:
                found = [event for event in self.events if event.get("type") == kind]
                if len(found) >= count:
                    return found[count - 1]
                self._changed.clear()
                await self._changed.wait()

    def heard(self) -> tuple[list[int], int]:
        """Samples of the left channel and the rate of all that this phone heard in its last call."""
        return _read_last(self.folder, "dec")

    async def _listen(self) -> None:
        assert self._reader is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await self._reader.readuntil(b":"))[:-1])
                message = json.loads(await self._reader.readexactly(length))
                await self._reader.readexactly(1)
                self.events.append(message)
                self._changed.set()


@contextlib.asynccontextmanager
async def baresip(
    folder: Path,
    *,
    user: str,
    password: str,
    server_port: int,
    transport: str = "udp",
    tone_hz: float = 440,
    answer: str = "auto",
    codec: str = "pcmu/8000/1",
    media_encryption: str | None = None,
    register: bool = True,
) -> AsyncIterator[Baresip]:
    """A running phone, registered at 127.0.0.1 unless told otherwise. ``answer``: ``auto`` or ``manual``."""
    assert PROGRAM is not None
    folder.mkdir(parents=True, exist_ok=True)
    base = free_port_block(40)
    rate = int(codec.split("/")[1])
    write_tone(folder / "tone.wav", tone_hz, seconds=60, rate=rate, channels=int(codec.split("/")[2]))
    modules = "\n".join(f"module {name}.so" for name in _MODULES)
    (folder / "config").write_text(
        f"sip_listen 127.0.0.1:{base}\n"
        f"audio_player aubridge,{folder.name}\n"
        f"audio_alert aubridge,{folder.name}-alert\n"
        f"audio_source aufile,{folder}/tone.wav\n"
        "audio_buffer 20-160\nsip_verify_server no\n"
        f"rtp_ports {base + 10}-{base + 30}\n"
        f"module_path {_module_folder()}\n{modules}\n"
        "module_tmp account.so\nmodule_app menu.so\nmodule_app ctrl_tcp.so\n"
        f"ctrl_tcp_listen 127.0.0.1:{base + 4}\n"
        f"snd_path {folder}\n"
    )
    encryption = f";mediaenc={media_encryption}" if media_encryption else ""
    (folder / "accounts").write_text(
        f"<sip:{user}@127.0.0.1:{server_port};transport={transport}>;auth_user={user};auth_pass={password}"
        f";regint={60 if register else 0};answermode={answer};audio_codecs={codec}{encryption}\n"
    )
    (folder / "contacts").touch()
    log = (folder / "log").open("wb")
    process = await asyncio.create_subprocess_exec(
        PROGRAM, "-s", "-f", str(folder), stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log
    )
    phone = Baresip(folder, base + 4)
    listener: asyncio.Task[None] | None = None
    try:
        async with asyncio.timeout(10):
            while phone._writer is None:
                try:
                    phone._reader, phone._writer = await asyncio.open_connection("127.0.0.1", base + 4)
                except OSError:
                    await asyncio.sleep(0.05)
        listener = asyncio.create_task(phone._listen())
        if register:
            await phone.wait_for("REGISTER_OK")
        yield phone
    finally:
        if phone._writer is not None:
            phone._writer.close()
        if process.returncode is None:
            process.terminate()
        try:
            await asyncio.wait_for(process.wait(), 5)
        except TimeoutError:
            process.kill()
            await process.wait()
        if listener is not None:
            await listener
        log.close()


def _module_folder() -> Path:
    for folder in (Path("/usr/lib/baresip/modules"), Path("/usr/local/lib/baresip/modules")):
        if folder.is_dir():
            return folder
    raise FileNotFoundError("baresip's modules are neither in /usr/lib nor in /usr/local/lib")


def _read_last(folder: Path, kind: str) -> tuple[list[int], int]:
    files = sorted(folder.glob(f"dump-*-{kind}.wav"), key=lambda file: file.stat().st_mtime)
    assert files, f"baresip wrote no {kind} file in {folder}: {(folder / 'log').read_text(errors='replace')[-2000:]}"
    with wave.open(str(files[-1])) as file:
        channels, frames = file.getnchannels(), file.getnframes()
        samples = struct.unpack(f"<{frames * channels}h", file.readframes(frames))
        return list(samples[::channels]), file.getframerate()
