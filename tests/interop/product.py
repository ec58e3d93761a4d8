"""SENT as a process of its own, and organizations to make calls in, each with the same people and numbers."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import os
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sent.app.local import Local, open_local
from sent.app.provisioning import add_device, add_person
from sent.app.settings import Settings, read_settings
from sent.calls.history import CallDetail, CallHistory, Filter
from sent.identity.models import Principal
from sent.identity.roles import Role
from sent.kit.ids import uuid7
from sent.pbx.announcements import WELCOME
from sent.pbx.models import ExtensionKind, PbxSettings
from sent.pbx.store import PbxStore
from sent.trunks.models import CallerIdHeader, SrtpPolicy, Trunk, TrunkLimits, TrunkMode
from sent.trunks.repository_status import TrunkStatus
from sent.trunks.service import TrunkService
from sent.trunks.status import read_status
from tests.interop.ports import free_port_block

_ROOT = Path(__file__).parents[2]
_STARTS_WITHIN_S = 60.0
_ENDS_WITHIN_S = 40.0
_HELD_BY_CALLS = ("sent_calls_active ", "sent_media_legs ", "sent_media_sockets ")
_numbers = itertools.count(1)


@dataclass(frozen=True, slots=True)
class Product:
    settings: Settings
    environment: dict[str, str]
    log: Path

    @property
    def sip(self) -> str:
        return f"127.0.0.1:{self.settings.sip_port}"

    def left_over(self, seconds: float = 20.0) -> dict[str, float]:
        """Gauges of what a call holds while it is up, as soon as none of them counts anything, or after ``seconds``."""
        deadline = time.monotonic() + seconds
        while True:
            url = f"http://127.0.0.1:{self.settings.http_port}/metrics"
            with urllib.request.urlopen(url, timeout=5) as answer:
                lines = answer.read().decode().splitlines()
            values = dict(line.split(" ") for line in lines if line.startswith(_HELD_BY_CALLS))
            left = {name: float(value) for name, value in values.items() if float(value)}
            assert len(values) == len(_HELD_BY_CALLS), values
            if not left or time.monotonic() > deadline:
                return left
            time.sleep(0.5)

    async def sent(self, *words: str, stdin: str = "", seconds: float = 60) -> subprocess.CompletedProcess[str]:
        """Run ``sent WORDS`` beside the server."""
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "sent.cli.main", *words, env=self.environment,
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
        )  # fmt: skip
        try:
            async with asyncio.timeout(seconds):
                out, err = await process.communicate(stdin.encode())
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        assert process.returncode is not None
        return subprocess.CompletedProcess(words, process.returncode, out.decode(), err.decode())


@contextlib.contextmanager
def running_product() -> Iterator[Product]:
    """`sent serve` on free ports of loopback with a data folder of its own. It always ends."""
    # Not pytest's tmp_path: its parents are closed to the user that PostgreSQL runs as when the tests run as root.
    with tempfile.TemporaryDirectory(prefix="sent-interop-") as name:
        folder = Path(name)
        folder.chmod(0o711)
        ports = free_port_block(4)
        rtp = free_port_block(400)
        environment = {key: value for key, value in os.environ.items() if not key.startswith("SENT_")} | {
            "PYTHONPATH": str(_ROOT / "src"),
            "SENT_DATA_DIR": str(folder / "data"),
            "SENT_SIP_PORT": str(ports),
            "SENT_SIP_TLS_PORT": str(ports + 1),
            "SENT_HTTP_PORT": str(ports + 2),
            "SENT_RTP_PORTS": f"{rtp}-{rtp + 399}",
            "SENT_LOG": "json",
        }
        log = folder / "log"
        with log.open("wb") as out:
            process = subprocess.Popen(
                [sys.executable, "-m", "sent.cli.main", "serve"],
                env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=out,
            )  # fmt: skip
            try:
                _wait_until_ready(process, ports + 2, log)
                yield Product(read_settings(environment), environment, log)
            finally:
                process.terminate()
                try:
                    process.wait(_ENDS_WITHIN_S)
                except subprocess.TimeoutExpired:
                    process.kill()
                    process.wait()
            assert process.returncode == 0, f"SENT ended with {process.returncode}: {log.read_text()[-4000:]}"


def _wait_until_ready(process: subprocess.Popen[bytes], port: int, log: Path) -> None:
    deadline = time.monotonic() + _STARTS_WITHIN_S
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"SENT ended at its start ({process.returncode}): {log.read_text()[-4000:]}")
        with (
            contextlib.suppress(OSError, urllib.error.URLError),
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=1) as answer,
        ):
            if answer.status == 200:
                return
        time.sleep(0.05)
    raise RuntimeError(f"SENT was not ready after {_STARTS_WITHIN_S:g} s: {log.read_text()[-4000:]}")


@dataclass(frozen=True, slots=True)
class Account:
    """One phone's login, and the extension that rings it."""

    extension: str
    user: str
    password: str


@dataclass(frozen=True, slots=True)
class House:
    """An organization of one test: Alice 101, Bob 102 with two phones, 600 echo, 601 announcement."""

    product: Product
    local: Local
    principal: Principal
    slug: str
    alice: Account
    bob: Account
    bob_second: Account

    async def records(self, count: int = 1, seconds: float = 10.0, *, number: str | None = None) -> list[CallDetail]:
        """The ``count`` calls of this house (with ``number`` as caller, callee or dialled), oldest first, as soon as
        they are over. More than so many are a failure."""
        history = CallHistory(self.local.database)
        organization, actor = self.principal.organization_id, self.principal.actor
        async with asyncio.timeout(seconds):
            while True:
                page = await history.list(organization, actor, Filter(live=False, number=number))
                if len(page.calls) >= count:
                    break
                await asyncio.sleep(0.05)
        assert len(page.calls) == count, [call.end_words for call in page.calls]
        return [await history.get(organization, actor, call.id) for call in reversed(page.calls)]

    async def record(self, number: str | None = None, seconds: float = 10.0) -> CallDetail:
        """The one call that this house made (with ``number``)."""
        (only,) = await self.records(1, seconds, number=number)
        return only

    async def record_calls(self, *, inside: bool = False, outside: bool = False) -> None:
        settings = PbxSettings(record_internal=inside, record_outside=outside)
        await PbxStore(self.local.database).put_settings(self.principal.organization_id, self.principal.actor, settings)

    async def add_trunk(
        self,
        name: str,
        domain: str,
        *,
        login: tuple[str, str] | None = None,
        sources: tuple[str, ...] = (),
        priority: int = 10,
        limits: TrunkLimits | None = None,
        number: str = "+12025550100",
    ) -> Trunk:
        """Registers with ``login``, else by address. Its number is the caller ID outwards and rings 101. Returns when
        the server has heard from the carrier."""
        trunk = Trunk(
            id=uuid7(), organization_id=self.principal.organization_id, name=name,
            mode=TrunkMode.REGISTER if login else TrunkMode.ADDRESS, domain=domain, transport="UDP", proxy=None,
            username=login[0] if login else None, auth_username=None, country="US", caller_id=number,
            caller_id_header=CallerIdHeader.FROM, sources=sources, srtp=SrtpPolicy.OFF, priority=priority,
            outside_prefix="9", limits=limits or TrunkLimits(),
        )  # fmt: skip
        service = TrunkService(self.local.database, self.local.vault)
        await service.add(trunk, login[1] if login else None, self.principal.actor)
        await service.add_number(trunk, number, "101", self.principal.actor)
        await self.trunk_status(
            trunk, lambda seen: seen.phase == "registered" if login else seen.words.startswith("200")
        )
        return trunk

    async def trunk_status(
        self, trunk: Trunk, wanted: Callable[[TrunkStatus], bool], seconds: float = 15.0
    ) -> TrunkStatus:
        """What the server says of a trunk, as soon as that is ``wanted``."""
        seen = None
        try:
            async with asyncio.timeout(seconds):
                while True:
                    status = await read_status(self.local.database, trunk.organization_id, self.principal.actor)
                    seen = status.get(trunk.id)
                    if seen is not None and wanted(seen):
                        return seen
                    await asyncio.sleep(0.1)
        except TimeoutError:
            raise AssertionError(f"trunk {trunk.name} after {seconds:g} s: {seen}") from None


@contextlib.asynccontextmanager
async def new_house(product: Product) -> AsyncIterator[House]:
    """A fresh organization, so that no test sees another's phones, trunks or calls."""
    slug = f"house-{next(_numbers)}"
    async with open_local(product.settings) as local:
        organization = await local.identity.create_organization(slug, slug, "US")
        principal = await local.principal(slug)
        store = PbxStore(local.database)
        await add_person(local, principal, "Alice", "101", Role.MEMBER)
        await add_person(local, principal, "Bob", "102", Role.MEMBER)
        await store.put_extension(organization.id, principal.actor, "600", ExtensionKind.ECHO)
        await store.put_extension(
            organization.id, principal.actor, "601", ExtensionKind.ANNOUNCEMENT, announcement=WELCOME
        )
        accounts = []
        for extension, name in (("101", "desk"), ("102", "desk"), ("102", "sofa")):
            made = await add_device(local, principal, extension, name)
            accounts.append(Account(extension, made.device.sip_username, made.secret))
        yield House(product, local, principal, slug, *accounts)
