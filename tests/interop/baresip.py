"""baresip as a phone: a process of its own, steered over its TCP control port, its audio read from the WAV files
that its `sndfile` module writes (``dec``: what it heard, ``enc``: what it said)."""

from __future__ import annotations

import asyncio
import contextlib
import json
import shutil
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.interop.ports import free_port_block
from tests.interop.product import Account, House, Product
from tests.interop.tones import Sound, read_wav, write_tone

PROGRAM = shutil.which("baresip")
PCMU, OPUS = "pcmu/8000/1", "opus/48000/2"
_MODULES = ("g711", "opus", "aufile", "aubridge", "sndfile", "srtp")


@dataclass
class Baresip:
    folder: Path
    control_port: int
    events: list[dict[str, Any]] = field(default_factory=list)
    _reader: asyncio.StreamReader | None = None
    _writer: asyncio.StreamWriter | None = None
    _answers: dict[str, str] = field(default_factory=dict)
    _token: int = 0
    _changed: asyncio.Event = field(default_factory=asyncio.Event)

    async def command(self, name: str, parameters: str = "") -> str:
        """Run one of baresip's commands and return what it printed."""
        assert self._writer is not None
        self._token += 1
        token = str(self._token)
        message = json.dumps({"command": name, "params": parameters, "token": token}).encode()
        self._writer.write(b"%d:%s," % (len(message), message))
        await self._until(lambda: token in self._answers, 5, f"an answer to {name}")
        return self._answers.pop(token)

    async def dial(self, number: str) -> None:
        await self.command("dial", number)

    async def call(self, number: str) -> None:
        """Dial, and wait for the answer."""
        await self.dial(number)
        await self.wait_for("CALL_ESTABLISHED")

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

        def found() -> list[dict[str, Any]]:
            return [event for event in self.events if event.get("type") == kind]

        await self._until(lambda: len(found()) >= count, seconds, kind)
        return found()[count - 1]

    async def _until(self, true: Callable[[], bool], seconds: float, what: str) -> None:
        try:
            async with asyncio.timeout(seconds):
                while not true():
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            seen = [event.get("type") for event in self.events]
            raise TimeoutError(f"{self.folder.name} saw no {what} in {seconds:g} s, but {seen}") from None

    async def registered(self, seconds: float = 10) -> None:
        """Asked for, not waited for: it may have happened before anybody could listen."""
        async with asyncio.timeout(seconds):
            while "OK " not in await self.command("reginfo"):  # noqa: ASYNC110 - it tells nobody who comes later
                await asyncio.sleep(0.05)

    def count(self, kind: str) -> int:
        return sum(event.get("type") == kind for event in self.events)

    def heard(self) -> Sound:
        """All that this phone heard in its last call, which must be over."""
        files = sorted(self.folder.glob("dump-*-dec.wav"), key=lambda file: file.stat().st_mtime)
        assert files, f"{self.folder.name} heard nothing: {self.log()}"
        return read_wav(files[-1])[0]

    def log(self) -> str:
        return (self.folder / "log").read_text(errors="replace")[-3000:]

    async def _listen(self) -> None:
        assert self._reader is not None
        with contextlib.suppress(asyncio.IncompleteReadError, ConnectionError):
            while True:
                length = int((await self._reader.readuntil(b":"))[:-1])
                message = json.loads(await self._reader.readexactly(length))
                await self._reader.readexactly(1)
                if message.get("response"):
                    self._answers[message["token"]] = str(message.get("data", ""))
                else:
                    self.events.append(message)
                self._changed.set()


@contextlib.asynccontextmanager
async def baresip(
    folder: Path,
    product: Product,
    account: Account,
    *,
    transport: str = "udp",
    tone_hz: float = 440,
    answer: str = "auto",
    codec: str = PCMU,
    media_encryption: str | None = None,
) -> AsyncIterator[Baresip]:
    """A running phone, registered. ``answer``: ``auto`` or ``manual``."""
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
    port = product.settings.sip_tls_port if transport == "tls" else product.settings.sip_port
    (folder / "accounts").write_text(
        f"<sip:{account.user}@127.0.0.1:{port};transport={transport}>;auth_user={account.user}"
        f';auth_pass={account.password};outbound="sip:127.0.0.1:{port};transport={transport}"'
        f";regint=60;answermode={answer};audio_codecs={codec}{encryption}\n"
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
        await phone.registered()
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


@dataclass(frozen=True, slots=True)
class Kind:
    """What a phone speaks."""

    transport: str = "udp"
    codec: str = PCMU
    media_encryption: str | None = None

    @property
    def codec_name(self) -> str:
        return self.codec.partition("/")[0].upper()


SECURE = Kind("tls", media_encryption="srtp-mand")
ALICE_HZ, BOB_HZ = 1000.0, 1400.0


@contextlib.asynccontextmanager
async def alice_and_bob(
    folder: Path, house: House, alice: Kind | None = None, bob: Kind | None = None
) -> AsyncIterator[tuple[Baresip, Baresip]]:
    """Two phones, started side by side; Alice speaks `ALICE_HZ` and Bob, who answers by himself, `BOB_HZ`."""
    alice, bob = alice or Kind(), bob or Kind()
    async with contextlib.AsyncExitStack() as ends:
        first, second = await asyncio.gather(
            *(
                ends.enter_async_context(
                    baresip(
                        folder / name, house.product, account, transport=kind.transport, tone_hz=hertz,
                        codec=kind.codec, media_encryption=kind.media_encryption,
                    )
                )
                for name, account, kind, hertz in (
                    ("alice", house.alice, alice, ALICE_HZ),
                    ("bob", house.bob, bob, BOB_HZ),
                )
            )
        )  # fmt: skip
        yield first, second
