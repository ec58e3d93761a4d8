"""A whole server inside the test's process, and what a command on its machine works with."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from sent.app.local import Local, open_local
from sent.app.server import Running, run_server
from sent.app.settings import Settings


def settings_for(data_dir: Path, owner_dsn: str) -> Settings:
    """On loopback, with ports that are free now."""
    with contextlib.ExitStack() as probes:
        sip, tls, http = (_free(probes) for _ in range(3))
    return Settings(
        data_dir=data_dir,
        sip_port=sip,
        sip_tls_port=tls,
        http_port=http,
        rtp_ports=(21_000, 21_199),
        database_url=owner_dsn,
    )


def environment_of(settings: Settings) -> dict[str, str]:
    return {
        "SENT_DATA_DIR": str(settings.data_dir),
        "SENT_DATABASE_URL": settings.database_url or "",
        "SENT_SIP_PORT": str(settings.sip_port),
        "SENT_SIP_TLS_PORT": str(settings.sip_tls_port),
        "SENT_HTTP_PORT": str(settings.http_port),
    }


@asynccontextmanager
async def serving(settings: Settings) -> AsyncIterator[Running]:
    """The server is up inside the block and is ended by a signal, as an administrator would."""
    up: asyncio.Future[Running] = asyncio.get_running_loop().create_future()

    async def ready(running: Running) -> None:
        up.set_result(running)

    task = asyncio.create_task(run_server(settings, ready), name="server")
    try:
        await asyncio.wait((task, up), timeout=30, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        yield up.result()
    finally:
        if not task.done():
            os.kill(os.getpid(), signal.SIGTERM)
            async with asyncio.timeout(30):
                await task


@asynccontextmanager
async def local_to(settings: Settings) -> AsyncIterator[Local]:
    async with open_local(settings) as local:
        yield local


@contextlib.contextmanager
def taken(port: int, kind: socket.SocketKind) -> Iterator[None]:
    with socket.socket(socket.AF_INET, kind) as holder:
        holder.bind(("127.0.0.1", port))
        if kind is socket.SOCK_STREAM:
            holder.listen(1)
        yield


def is_free(port: int, kind: socket.SocketKind) -> bool:
    with socket.socket(socket.AF_INET, kind) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1 if kind is socket.SOCK_STREAM else 0)
        try:
            probe.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _free(probes: contextlib.ExitStack) -> int:
    """Free for UDP and TCP."""
    while True:
        udp = probes.enter_context(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
        udp.bind(("127.0.0.1", 0))
        port: int = udp.getsockname()[1]
        if is_free(port, socket.SOCK_STREAM):
            return port
