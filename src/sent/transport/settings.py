"""Limits and times of the sockets. Seconds and octets."""

from __future__ import annotations

import ssl
from collections.abc import Callable
from dataclasses import dataclass

from sent.sip.flow import Flow, Target


@dataclass(frozen=True, slots=True)
class TransportSettings:
    """``idle_timeout`` closes a stream on which nothing comes; it must be longer than a phone's keep-alive.

    ``client_tls`` verifies the far side by default; a trunk with its own authority brings its own context.
    """

    connect_timeout: float = 5.0
    handshake_timeout: float = 10.0
    idle_timeout: float = 1_800.0
    first_message_timeout: float = 30.0
    """A connection that has not sent anything in this time is closed."""
    max_connections: int = 10_000
    max_connections_per_address: int = 200
    max_write_buffer: int = 512 * 1024
    max_queued_while_connecting: int = 64
    udp_receive_buffer: int = 4 * 1024 * 1024
    client_tls: ssl.SSLContext | None = None


Advertise = Callable[[Flow | Target], tuple[str, int]]


def client_tls_context() -> ssl.SSLContext:
    """RFC 5922 and RFC 8996: verified by name, TLS 1.2 or newer."""
    context = ssl.create_default_context()
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    return context


def server_tls_context(certificate: str, key: str) -> ssl.SSLContext:
    """Raises `OSError` or `ssl.SSLError` when the files cannot be read or do not fit each other."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    return context
