"""SIPp as caller and callee: scenarios put together from `steps`, run as bounded processes."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import re
import shutil
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from tests.interop.ports import free_port_block
from tests.interop.product import Account, Product
from tests.interop.sipp import steps

PROGRAM = shutil.which("sipp")
_numbers = itertools.count(1)
_CALLED = re.compile(r"INVITE sip:([^@\s]+)@")
_RULE = re.compile(r"^-{20,}.*$", re.MULTILINE)


@dataclass(frozen=True, slots=True)
class Messages:
    """What one SIPp sent and received, whole messages in order."""

    sent: tuple[str, ...]
    received: tuple[str, ...]

    def answer(self, status: int, cseq: str = "") -> str:
        """The first answer with this status (to the request with this CSeq) that SIPp received."""
        return self._first(self.received, f"SIP/2.0 {status} ", cseq)

    def request(self, method: str, nth: int = 0) -> str:
        """The ``nth`` request that SIPp received, without retransmissions."""
        found = list(dict.fromkeys(m for m in self.received if m.startswith(f"{method} ")))
        assert len(found) > nth, f"no {method} number {nth}: {[m.splitlines()[0] for m in self.received]}"
        return found[nth]

    @staticmethod
    def _first(messages: tuple[str, ...], start: str, cseq: str) -> str:
        for message in messages:
            if message.startswith(start) and (not cseq or header(message, "CSeq") == cseq):
                return message
        raise AssertionError(f"no {start}among {[m.splitlines()[0] for m in messages]}")


def header(message: str, name: str) -> str:
    """Value of the first header field of this name; empty where there is none."""
    found = re.search(rf"^{re.escape(name)}\s*:\s*(.*?)\s*$", message, re.MULTILINE | re.IGNORECASE)
    return found.group(1) if found else ""


def direction(message: str) -> str:
    """Of the audio in the message's SDP."""
    found = re.search(r"^a=(sendrecv|sendonly|recvonly|inactive)\s*$", message, re.MULTILINE)
    return found.group(1) if found else "sendrecv"


class Sipp:
    def __init__(self, process: asyncio.subprocess.Process, folder: Path, seconds: float) -> None:
        self._process = process
        self._folder = folder
        self._seconds = seconds

    async def done(self) -> Messages:
        """Wait until the scenario is over. Raises AssertionError where a call did not go as it says."""
        async with asyncio.timeout(self._seconds + 5):
            await self._process.wait()
        messages = self.messages()
        if self._process.returncode != 0:
            errors = self._folder / "errors"
            told = errors.read_text(errors="replace") if errors.exists() else ""
            seen = (
                [f"> {m.splitlines()[0]}" for m in messages.sent],
                [f"< {m.splitlines()[0]}" for m in messages.received],
            )
            raise AssertionError(
                f"SIPp {self._folder.name} ended with {self._process.returncode}: {told[:1500]} {seen}"
            )
        return messages

    def messages(self) -> Messages:
        """So far."""
        file = self._folder / "messages"
        sent: list[str] = []
        received: list[str] = []
        for block in _RULE.split(file.read_bytes().decode(errors="replace").replace("\r", "") if file.exists() else ""):
            what, _, message = block.strip("\n").partition("\n\n")
            (sent if " sent " in what else received).append(message)
        return Messages(tuple(filter(None, sent)), tuple(filter(None, received)))

    async def kill(self) -> None:
        """As a phone whose battery is empty."""
        if self._process.returncode is None:
            self._process.kill()
            await self._process.wait()


@contextlib.asynccontextmanager
async def sipp(
    folder: Path, server: str, scenario: str, *,
    port: int, address: str = "127.0.0.1", account: Account | None = None, transport: str = "u1", seconds: float = 20,
) -> AsyncIterator[Sipp]:  # fmt: skip
    """Run ``scenario`` (of `steps`) for one call with ``server`` (``host:port``); it ends with the block."""
    assert PROGRAM is not None
    place = folder / f"sipp-{next(_numbers)}"
    place.mkdir(parents=True)
    (place / "scenario.xml").write_text(scenario)
    command = [
        PROGRAM, server, "-sf", "scenario.xml", "-i", address, "-p", str(port), "-m", "1", "-t", transport,
        "-timeout", f"{seconds:.0f}s", "-timeout_error", "-nostdin",
        "-trace_msg", "-message_file", "messages", "-trace_err", "-error_file", "errors",
    ]  # fmt: skip
    if account is not None:
        command += ["-au", account.user, "-ap", account.password]
        called = _CALLED.search(scenario)
        if called is not None:
            # SIPp's digest would be for the server alone, not for whom it calls.
            command += ["-auth_uri", f"{called.group(1)}@{server}"]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=place, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL
    )
    running = Sipp(process, place, seconds)
    try:
        yield running
    finally:
        await running.kill()


async def run(
    folder: Path, product: Product, account: Account, *parts: str, seconds: float = 20, transport: str = "u1"
) -> Messages:
    """One phone's scenario, from its start to its end, on a port of its own. ``transport``: ``u1`` UDP, ``t1`` TCP."""
    scenario, port = steps.scenario(*parts), free_port_block(2)
    async with sipp(
        folder, product.sip, scenario, port=port, account=account, seconds=seconds, transport=transport
    ) as phone:
        return await phone.done()


@contextlib.asynccontextmanager
async def callee(
    folder: Path, product: Product, account: Account, *parts: str, seconds: float = 20
) -> AsyncIterator[Sipp]:
    """A phone that registers and then waits for its one call."""
    port = free_port_block(2)
    async with sipp(
        folder, product.sip, steps.scenario(steps.register(account.user)), port=port, account=account
    ) as it:
        await it.done()
    async with sipp(folder, product.sip, steps.scenario(*parts), port=port, account=account, seconds=seconds) as phone:
        yield phone
