"""Where a request inside a dialog goes: RFC 3261 §8.1.2 and §12.2.1.1, without asking the DNS ourselves."""

from __future__ import annotations

from collections.abc import Callable, Container
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network

from sent.sip.dialog import Dialog
from sent.sip.events import Event, TargetsNeeded
from sent.sip.flow import Flow, Target
from sent.sip.uri import SipUri

_PRIVATE = tuple(
    ip_network(network)
    # RFC 1918, 6598, 3927, 4193, 4291. `ip_address.is_private` counts the documentation networks too.
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
)

RouteCallback = Callable[[list[Target], float], None]


def target_of(peer: Flow | Target) -> Target:
    if isinstance(peer, Target):
        return peer
    return Target(peer.transport, peer.remote[0], peer.remote[1], peer.local, flow=peer)


def behind_nat(uri: SipUri, peer: Flow | Target) -> bool:
    """The Contact is a private or unspecified address, and its messages come from another one."""
    try:
        address = ip_address(uri.host)
        seen = ip_address(peer.remote[0])
    except ValueError:
        return False
    if address == seen:
        # Same host, other port: behind the NAT of the router that it is, or a port mapped in between. Leave it.
        return False
    return address.is_unspecified or address.is_loopback or (_is_private(address) and not _is_private(seen))


def _is_private(address: IPv4Address | IPv6Address) -> bool:
    return any(address in network for network in _PRIVATE)


class Router:
    """Asks the shell with `TargetsNeeded` where a name must be looked up; the callback then comes later."""

    __slots__ = ("_emit", "_open_flows", "_serial", "_waiting")

    def __init__(self, emit: Callable[[Event], None], open_flows: Container[Flow]) -> None:
        self._emit = emit
        self._open_flows = open_flows
        self._serial = 0
        self._waiting: dict[int, tuple[Dialog, SipUri, RouteCallback]] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def route(self, dialog: Dialog, then: RouteCallback, now: float) -> None:
        uri = dialog.next_hop()
        peer = dialog.peer
        if not isinstance(uri, SipUri) or (not dialog.routes and dialog.symmetric):
            then([target_of(peer)], now)
            return
        if not dialog.routes and (self._is_open(peer) or behind_nat(uri, peer) or _same_place(uri, peer)):
            then([target_of(peer)], now)
            return
        if dialog.cached_route is not None and dialog.cached_route[0] == uri:
            then(dialog.cached_route[1], now)
            return
        direct = _direct(uri, peer)
        if direct is not None:
            dialog.cached_route = (uri, [direct])
            then([direct], now)
            return
        self._serial += 1
        self._waiting[self._serial] = (dialog, uri, then)
        self._emit(TargetsNeeded(self._serial, uri))

    def _is_open(self, peer: Flow | Target) -> bool:
        """The connection that a dialog came by is used while it lasts: behind a NAT there is no other way."""
        return isinstance(peer, Flow) and peer in self._open_flows

    def found(self, key: int, targets: list[Target], now: float) -> None:
        """``targets`` empty: the look-up failed. Then the place is tried where the dialog's messages came from."""
        waiting = self._waiting.pop(key, None)
        if waiting is None:
            return
        dialog, uri, then = waiting
        if targets:
            dialog.cached_route = (uri, targets)
        then(targets or [target_of(dialog.peer)], now)


def _transport(uri: SipUri) -> str:
    named = (uri.params.get("transport") or "").upper()
    if uri.scheme == "sips":
        return "TLS" if named in {"", "TCP", "TLS"} else named
    return named or "UDP"


def _same_place(uri: SipUri, peer: Flow | Target) -> bool:
    port = uri.port or (5061 if peer.transport == "TLS" else 5060)
    return uri.host == peer.remote[0] and port == peer.remote[1] and _transport(uri) == peer.transport


def _direct(uri: SipUri, peer: Flow | Target) -> Target | None:
    """Without a look-up: a numeric host, over the transport (hence the local address) that the dialog has already."""
    transport = _transport(uri)
    if transport != peer.transport or uri.params.has("maddr"):
        return None
    try:
        address = str(ip_address(uri.host))
    except ValueError:
        return None
    return Target(transport, address, uri.port or (5061 if transport == "TLS" else 5060), peer.local)
