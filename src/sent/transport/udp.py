"""One UDP socket. The loop reads one datagram per turn, so a burst waits in the kernel and starves nothing."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, cast

from sent.sip.flow import Flow
from sent.transport.addresses import is_wildcard

if TYPE_CHECKING:
    from sent.transport.sip_transport import SipTransport


class UdpSocket(asyncio.DatagramProtocol):
    def __init__(self, owner: SipTransport) -> None:
        self._owner = owner
        self._transport: asyncio.DatagramTransport | None = None
        self.bound: tuple[str, int] = ("", 0)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.DatagramTransport", transport)
        name = transport.get_extra_info("sockname")
        self.bound = (name[0], name[1])

    def datagram_received(self, data: bytes, addr: tuple[str | Any, int]) -> None:
        remote = (addr[0], addr[1])
        self._owner.received(data, Flow("UDP", self.local_towards(remote[0]), remote))

    def local_towards(self, peer: str) -> tuple[str, int]:
        host, port = self.bound
        return (self._owner.addresses.towards(peer, self._owner.now()), port) if is_wildcard(host) else self.bound

    def error_received(self, exc: Exception) -> None:
        # An ICMP error on an unconnected socket names no peer here; the transaction's timer finds out.
        self._owner.agent.counters["udp_errors"] += 1

    def send(self, data: bytes, remote: tuple[str, int]) -> bool:
        transport = self._transport
        if transport is None or transport.is_closing():
            return False
        # The queue length is no part of the abstract class, but asyncio and uvloop both have it.
        if cast("asyncio.WriteTransport", transport).get_write_buffer_size() > self._owner.settings.max_write_buffer:
            self._owner.agent.counters["udp_overflow"] += 1
            return True  # as a full queue in the network would: retransmission repairs it
        transport.sendto(data, remote)
        return True

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
