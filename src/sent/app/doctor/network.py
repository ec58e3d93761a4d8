"""Ports and the media address."""

from __future__ import annotations

import errno
import ipaddress
import socket
from collections.abc import Iterator

from sent.app.doctor.finding import Finding, broken, good, warning
from sent.app.settings import Settings
from sent.transport.addresses import is_wildcard

_DOCUMENTATION_PEER = {socket.AF_INET: "192.0.2.1", socket.AF_INET6: "2001:db8::1"}
"""RFC 5737 and RFC 3849: asking for the route to them sends nothing."""

_PORTS_PER_CALL = 4


def check_ports(settings: Settings, *, is_running: bool) -> Iterator[Finding]:
    """Each listener's port can be bound, or is held by the SENT that runs."""
    listeners = (
        ("SIP over UDP", settings.sip_port, socket.SOCK_DGRAM, "SENT_SIP_PORT"),
        ("SIP over TCP", settings.sip_port, socket.SOCK_STREAM, "SENT_SIP_PORT"),
        ("SIP over TLS", settings.sip_tls_port, socket.SOCK_STREAM, "SENT_SIP_TLS_PORT"),
        ("HTTP", settings.http_port, socket.SOCK_STREAM, "SENT_HTTP_PORT"),
    )
    for name, port, kind, setting in listeners:
        error = _bind_error(settings.bind, port, kind)
        if error is None and is_running:
            yield broken(name, f"SENT runs, but nothing listens on port {port}.", "Look into its log and restart it.")
        elif error is None:
            yield good(name, f"port {port} is free")
        elif error == errno.EADDRINUSE and is_running:
            yield good(name, f"SENT listens on port {port}")
        elif error == errno.EADDRINUSE:
            yield broken(
                name, f"port {port} is taken by another program", f"End that program, or choose a port with {setting}."
            )
        elif error == errno.EACCES:
            yield broken(
                name,
                f"port {port} needs more rights",
                f"Choose a port from 1024 up with {setting}, or grant the right.",
            )
        elif error == errno.EADDRNOTAVAIL:
            yield broken(
                name,
                f"this machine has no address {settings.bind}",
                "Correct SENT_BIND; `ip address` lists the addresses of this machine.",
            )
        else:
            yield broken(
                name, f"port {port} cannot be bound: {errno.errorcode.get(error, error)}", f"Correct {setting}."
            )


def check_audio_ports(settings: Settings) -> Iterator[Finding]:
    low, high = settings.rtp_ports
    calls = (high - low + 1) // _PORTS_PER_CALL
    words = f"ports {low} to {high} are enough for {calls} calls"
    if calls < 20:
        yield warning("audio ports", words, "Widen SENT_RTP_PORTS.")
    else:
        yield good("audio ports", words)


def check_media_address(settings: Settings) -> Iterator[Finding]:
    """The address that will stand in SDP, as a phone outside would have to reach it."""
    if settings.is_loopback:
        yield warning(
            "media address",
            "SENT is bound to this machine only; phones elsewhere cannot reach it",
            "Set SENT_BIND=0.0.0.0 to open it to your network.",
        )
        return
    if settings.advertise:
        yield good("media address", f"SIP and audio are advertised at {settings.advertise}, as set")
        return
    address = _routed_address() if is_wildcard(settings.bind) else settings.bind
    if address is None:
        yield broken(
            "media address",
            "this machine has no route to anywhere, so no address can be told to phones",
            "Connect it to the network, or set SENT_ADVERTISE.",
        )
    elif ipaddress.ip_address(address).is_private:
        yield warning(
            "media address",
            f"phones are told {address}, a private address: right inside your network, unreachable from outside",
            "For phones and carriers outside, set SENT_ADVERTISE to the public address and forward the ports.",
        )
    else:
        yield good("media address", f"phones are told {address}")


def _bind_error(address: str, port: int, kind: socket.SocketKind) -> int | None:
    family = socket.AF_INET6 if ":" in address else socket.AF_INET
    with socket.socket(family, kind) as probe:
        if kind == socket.SOCK_STREAM:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((address, port))
        except OSError as error:
            return error.errno or errno.EIO
    return None


def _routed_address() -> str | None:
    for family, peer in _DOCUMENTATION_PEER.items():
        with socket.socket(family, socket.SOCK_DGRAM) as probe:
            try:
                probe.connect((peer, 9))
            except OSError:
                continue
            return str(probe.getsockname()[0])
    return None
