"""What ``/readyz`` asks."""

from __future__ import annotations

import asyncio

from sent.app.calling import Calling
from sent.infra.db import Database
from sent.infra.http import Check
from sent.kit.errors import Unavailable


def readiness_checks(database: Database, calling: Calling, stop: asyncio.Event) -> list[Check]:
    async def media() -> None:
        if not calling.engine.health().threads:
            raise Unavailable("media.stopped", "The media engine has no threads. Restart SENT.")

    async def sip() -> None:
        if stop.is_set():
            raise Unavailable("app.stopping", "SENT is stopping and takes no new calls.")
        if not calling.transport.is_listening:
            raise Unavailable("sip.not_listening", "No SIP socket is open. Restart SENT; its log says why.")

    return [
        Check("database", lambda: database.ping(2.0), "Is PostgreSQL running? `sent doctor` checks."),
        Check("media", media, "Restart SENT."),
        Check("sip", sip, "Restart SENT."),
    ]
