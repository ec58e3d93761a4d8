"""One TCP or TLS connection, in or out."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, cast

from sent.sip.flow import Flow

if TYPE_CHECKING:
    from sent.transport.sip_transport import SipTransport


class StreamConnection(asyncio.Protocol):
    """Reports to its `SipTransport`: opened, data, closed, each once or more in this order."""

    def __init__(self, owner: SipTransport, transport_name: str, server_name: str = "", *, outgoing: bool) -> None:
        self.flow: Flow | None = None
        self.server_name = server_name
        self.outgoing = outgoing
        self._owner = owner
        self._name = transport_name
        self._transport: asyncio.Transport | None = None
        self._heard_at = 0.0
        self._heard = False
        self._idle: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)
        local = transport.get_extra_info("sockname")
        remote = transport.get_extra_info("peername")
        if local is None or remote is None:  # it went away before we looked
            self._transport.abort()
            return
        self.flow = Flow(self._name, local[:2], remote[:2], self._owner.next_connection_id())
        self._heard_at = self._owner.now()
        if not self._owner.connection_opened(self):
            self._transport.abort()
            return
        settings = self._owner.settings
        self._transport.set_write_buffer_limits(high=settings.max_write_buffer)
        first = settings.idle_timeout if self.outgoing else settings.first_message_timeout
        self._idle = self._owner.loop.call_later(first, self._check_idle)

    def data_received(self, data: bytes) -> None:
        if self.flow is not None:
            self._heard = True
            self._heard_at = self._owner.now()
            self._owner.received(data, self.flow)

    def eof_received(self) -> bool:
        return False  # nobody half-closes a SIP connection; close ours too

    def connection_lost(self, exc: Exception | None) -> None:
        if self._idle is not None:
            self._idle.cancel()
        self._owner.connection_closed(self)

    def write(self, data: bytes) -> bool:
        """False, and the connection is gone, when the peer does not read what we send."""
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        if transport.get_write_buffer_size() + len(data) > self._owner.settings.max_write_buffer:
            self._owner.agent.counters["connections_stuck"] += 1
            transport.abort()
            return False
        self._heard_at = max(self._heard_at, self._owner.now()) if self.outgoing else self._heard_at
        transport.write(data)
        return True

    def close(self) -> None:
        """After what is queued has been sent, or at once when that cannot be."""
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    def _check_idle(self) -> None:
        silent = self._owner.now() - self._heard_at
        limit = self._owner.settings.idle_timeout
        if (not self._heard and not self.outgoing) or silent >= limit:
            self._owner.agent.counters["connections_idle"] += 1
            self.close()
            self._idle = self._owner.loop.call_later(10.0, self.abort)
            return
        self._idle = self._owner.loop.call_later(limit - silent, self._check_idle)
