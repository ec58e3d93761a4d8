"""Which address a leg's RTP is bound to, and which one its peer is told."""

from __future__ import annotations

import ipaddress
from collections.abc import Callable

from sent.transport.addresses import LocalAddresses, is_ipv6


class MediaAddresses:
    """By default the address that routes to the peer. ``advertised`` is for a machine behind NAT: peers that are not on
    a private network are told that one; ``bind`` fixes the local address. Give it as `sip_leg.Line.media_addresses`.
    """

    def __init__(self, clock: Callable[[], float], *, advertised: str | None = None, bind: str | None = None) -> None:
        self._clock = clock
        self._advertised = advertised
        self._bind = bind
        self._routes = LocalAddresses()

    def __call__(self, peer: str) -> tuple[str, str]:
        local = self._routes.towards(peer, self._clock())
        bind = self._bind if self._bind is not None and is_ipv6(self._bind) == is_ipv6(peer) else local
        if self._advertised is None or is_ipv6(self._advertised) != is_ipv6(peer) or is_private(peer):
            return bind, bind
        return bind, self._advertised


def is_private(address: str) -> bool:
    """Loopback, link-local and private networks: they reach us without our NAT."""
    parsed = ipaddress.ip_address(address.partition("%")[0])
    return parsed.is_private or parsed.is_loopback or parsed.is_link_local
