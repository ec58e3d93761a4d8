"""SIPp as caller, callee and attacker: one XML scenario per behaviour, run as bounded processes."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import dataclass
from pathlib import Path

PROGRAM = shutil.which("sipp")
_SCENARIOS = Path(__file__).parent


@dataclass(frozen=True, slots=True)
class SippResult:
    exit_code: int
    """0: every call went as the scenario says."""
    messages: str
    errors: str


async def sipp(
    folder: Path,
    scenario: str,
    server: str,
    *,
    port: int,
    calls: int = 1,
    rate: int = 10,
    transport: str = "u1",
    keys: dict[str, str] | None = None,
    service: str = "service",
    user: str = "",
    password: str = "",
    seconds: float = 30,
    extra: tuple[str, ...] = (),
) -> SippResult:
    """Run ``scenario``.xml against ``server`` (``host:port``) from 127.0.0.1:``port`` and wait for its end."""
    assert PROGRAM is not None
    folder.mkdir(parents=True, exist_ok=True)
    messages, errors = folder / f"{scenario}-{port}.messages", folder / f"{scenario}-{port}.errors"
    command = [
        PROGRAM, server, "-sf", str(_SCENARIOS / f"{scenario}.xml"), "-i", "127.0.0.1", "-p", str(port),
        "-m", str(calls), "-r", str(rate), "-t", transport, "-s", service, "-au", user, "-ap", password,
        "-timeout", f"{seconds:.0f}s", "-timeout_error", "-nostdin",
        "-trace_msg", "-message_file", str(messages), "-trace_err", "-error_file", str(errors),
        *extra,
    ]  # fmt: skip
    for name, value in (keys or {}).items():
        command += ["-key", name, value]
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds + 10):
            _, stderr = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    return SippResult(
        process.returncode if process.returncode is not None else -1,
        messages.read_text(errors="replace") if messages.exists() else "",
        (errors.read_text(errors="replace") if errors.exists() else "") + stderr.decode(errors="replace"),
    )
