"""Which of our own addresses a peer sees, without a packet: the kernel's route for a connected UDP socket."""

from __future__ import annotations

import socket
from collections import OrderedDict

_MAX_CACHED = 4_096
_WILDCARDS = frozenset({"", "0.0.0.0", "::"})  # noqa: S104 - compared with, not bound to


def is_wildcard(host: str) -> bool:
    return host in _WILDCARDS


def is_ipv6(host: str) -> bool:
    return ":" in host


class LocalAddresses:
    """Cached for ``lifetime`` seconds, because an interface may come or go."""

    def __init__(self, lifetime: float = 60.0) -> None:
        self._lifetime = lifetime
        self._cache: OrderedDict[str, tuple[float, str]] = OrderedDict()

    def towards(self, peer: str, now: float) -> str:
        """Our address as ``peer`` sees it without NAT; loopback where there is no route."""
        known = self._cache.get(peer)
        if known is not None and known[0] > now:
            return known[1]
        address = route_to(peer)
        self._cache[peer] = (now + self._lifetime, address)
        self._cache.move_to_end(peer)
        if len(self._cache) > _MAX_CACHED:
            self._cache.popitem(last=False)
        return address


def route_to(peer: str) -> str:
    family = socket.AF_INET6 if is_ipv6(peer) else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((peer, 9))
        except OSError:
            return "::1" if family == socket.AF_INET6 else "127.0.0.1"
        return str(probe.getsockname()[0])
