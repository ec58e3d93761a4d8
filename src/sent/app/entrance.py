"""Who may call, and where SIP comes in."""

from __future__ import annotations

import contextlib
import secrets
from dataclasses import dataclass
from datetime import datetime

from sent.app.calling import Calling
from sent.app.certificates import ensure_certificate, server_context
from sent.app.dialplan import UserExtensions
from sent.app.settings import Settings
from sent.app.storage import Storage
from sent.gateway.authentication import Authentication
from sent.gateway.flood import FloodGuard
from sent.gateway.sip_server import SipServer
from sent.identity.credentials import DEFAULT_REALM, DeviceCredentials
from sent.sip.nonce import NonceBook


@dataclass(frozen=True, slots=True)
class Entrance:
    server: SipServer
    credentials: DeviceCredentials
    flood: FloodGuard
    certificate_is_self_signed: bool


async def open_entrance(
    settings: Settings, storage: Storage, calling: Calling, now: datetime, ends: contextlib.AsyncExitStack
) -> Entrance:
    """Reads who is registered and which carriers there are, then listens. ``ends`` ends its tasks."""
    credentials = DeviceCredentials(storage.database, storage.vault)
    flood = FloodGuard()
    authentication = Authentication(
        DEFAULT_REALM, credentials, UserExtensions(calling.pbx), NonceBook(secrets.token_bytes(32)), flood
    )
    server = SipServer(
        calling.line, authentication, flood, calling.registrations, calling.requests, calling.trunks, calling.calls
    )
    await calling.registrations.load()
    # Before anything listens: a carrier's first call must not be taken for a stranger's.
    await calling.trunks.directory.refresh()
    server.start()
    ends.push_async_callback(server.close)
    certificate = ensure_certificate(settings, now)
    transport = calling.transport
    await transport.listen_udp(settings.bind, settings.sip_port, "SENT_SIP_PORT")
    await transport.listen_tcp(settings.bind, settings.sip_port, "SENT_SIP_PORT")
    await transport.listen_tls(settings.bind, settings.sip_tls_port, server_context(certificate), "SENT_SIP_TLS_PORT")
    return Entrance(server, credentials, flood, certificate.self_signed)
