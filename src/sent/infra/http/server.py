"""uvicorn inside this process: bounded, without its signal handlers, stopped by an event.

Bounds: connections, octets of a request head, seconds until a head is whole, seconds of keep-alive, seconds that
running requests get when we stop.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import socket
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol, RequestResponseCycle

from sent.kit.errors import Unavailable

MAX_CONNECTIONS = 1_000
MAX_HEAD_OCTETS = 16 * 1024
HEAD_SECONDS = 10.0
KEEP_ALIVE_SECONDS = 15
GRACE_SECONDS = 5
_BACKLOG = 512
_TICK_SECONDS = 1.0


class HttpError(Unavailable):
    """``http.port_taken``, ``http.port_forbidden``, ``http.bad_address``."""


async def serve(
    app: ASGIApp,
    host: str,
    port: int,
    stop: asyncio.Event,
    *,
    started: Callable[[str, int], None] | None = None,
    setting: str = "SENT_HTTP_PORT",
) -> None:
    """Serve until ``stop`` is set and running requests are answered (or `GRACE_SECONDS` are over).

    ``started`` gets the address that we really listen on (``port`` 0 takes any). Raises `HttpError` at once when the
    address cannot be had; ``setting`` is the setting that its message names.
    """
    listener = _listen(host, port, setting)
    config = uvicorn.Config(
        app,
        http=_Protocol,
        loop="none",
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        server_header=False,
        proxy_headers=False,
        limit_concurrency=MAX_CONNECTIONS,
        h11_max_incomplete_event_size=MAX_HEAD_OCTETS,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )
    if started is not None:
        started(*listener.getsockname()[:2])
    try:
        await _Server(config, stop).serve([listener])
    finally:
        listener.close()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, stop: asyncio.Event) -> None:
        super().__init__(config)
        self._stop = stop

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Signals are the process's business, not the web server's."""
        yield

    async def main_loop(self) -> None:
        """Wakes once a second for the Date header, not ten times, and stops at once when told to."""
        while not self._stop.is_set():
            await self.on_tick(0)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stop.wait(), _TICK_SECONDS)


class _Protocol(H11Protocol):
    """Closes a connection whose request head is not whole in time: uvicorn has no limit of its own for that."""

    _deadline: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as in uvicorn
        super().connection_made(transport)
        self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        cycle: RequestResponseCycle | None = self.cycle  # uvicorn's annotation leaves the None out
        in_request = cycle is not None and not cycle.response_complete
        if in_request or self.transport.is_closing():
            self._disarm()
        elif self._deadline is None:
            self._deadline = self.loop.call_later(HEAD_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _disarm(self) -> None:
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None


def _listen(host: str, port: int, setting: str) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        listener = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    except OSError as error:
        raise _not_listening(error, host, port, setting) from error
    listener.setblocking(False)
    return listener


def _not_listening(error: OSError, host: str, port: int, setting: str) -> HttpError:
    details: dict[str, Any] = {"host": host, "port": port, "setting": setting}
    if error.errno == errno.EADDRINUSE:
        return HttpError(
            "http.port_taken",
            f"Port {port} on {host} is taken by another program (see it with: ss -ltnp 'sport = :{port}'). "
            f"Stop that program, or set {setting} to another port.",
            **details,
        )
    if error.errno == errno.EACCES:
        return HttpError(
            "http.port_forbidden",
            f"This user may not listen on port {port}. Set {setting} to 1024 or more, or give the service "
            "CAP_NET_BIND_SERVICE.",
            **details,
        )
    return HttpError(
        "http.bad_address",
        f"Cannot listen on {host} port {port} ({error.strerror or error}). The address must be one of this machine's.",
        **details,
    )
