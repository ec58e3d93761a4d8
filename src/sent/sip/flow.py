"""Where bytes come from and go to: plain values that the sans-I/O core and its shells exchange."""

from __future__ import annotations

from dataclasses import dataclass

RELIABLE = frozenset({"TCP", "TLS", "WS", "WSS"})
"""Transports on which the transaction layer never retransmits (RFC 3261 §17)."""


@dataclass(frozen=True, slots=True)
class Flow:
    """A UDP address pair, or one connection of a stream transport (RFC 5626 §3).

    ``id`` numbers connections, so that a new connection from the same address is another flow; it is 0 for UDP.
    """

    transport: str
    local: tuple[str, int]
    remote: tuple[str, int]
    id: int = 0

    @property
    def reliable(self) -> bool:
        return self.transport in RELIABLE


@dataclass(frozen=True, slots=True)
class Target:
    """One place to try (RFC 3263 §4): transport, IP address and port.

    ``local`` is what our Via and Contact say towards it. ``server_name`` is the name that a TLS certificate must carry
    (RFC 5922 §7). With ``flow`` set, that connection (or that UDP socket) is used and no other is opened.
    """

    transport: str
    address: str
    port: int
    local: tuple[str, int]
    server_name: str = ""
    flow: Flow | None = None

    @property
    def reliable(self) -> bool:
        return self.transport in RELIABLE

    @property
    def remote(self) -> tuple[str, int]:
        return self.address, self.port


@dataclass(frozen=True, slots=True)
class Send:
    target: Target
    data: bytes
