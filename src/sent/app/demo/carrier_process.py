"""Starts the demo carrier beside the server and ends it with it."""

from __future__ import annotations

import asyncio
import contextlib
import sys
from collections.abc import AsyncIterator

from sent.kit.errors import Unavailable

_START_SECONDS = 15.0
_STOP_SECONDS = 5.0


@contextlib.asynccontextmanager
async def demo_carrier(port: int, user: str, password: str) -> AsyncIterator[None]:
    """The carrier listens on 127.0.0.1:``port`` inside the block. Raises `Unavailable` when it cannot."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "sent.app.demo.carrier",
        str(port),
        user,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        # Ctrl-C in the terminal is the server's: the carrier must outlive the calls that it carries.
        start_new_session=True,
    )
    if process.stdin is None or process.stdout is None:
        raise RuntimeError("the demo carrier has no pipes")
    try:
        process.stdin.write(password.encode() + b"\n")
        await process.stdin.drain()
        try:
            async with asyncio.timeout(_START_SECONDS):
                said = await process.stdout.readline()
        except TimeoutError:
            said = b""
        if said.strip() != b"ready":
            raise Unavailable(
                "demo.no_carrier",
                f"The demo carrier did not start; is UDP port {port} free? The line above says what it met.",
            )
        yield
    finally:
        process.stdin.close()  # it ends with its standard input
        try:
            async with asyncio.timeout(_STOP_SECONDS):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
