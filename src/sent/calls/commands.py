"""How the API and the command line control a call: through a port, since the call may live in another process.

    who asks ── DatabaseCommands.hang_up ── NOTIFY ──► each node: follow_commands ──► its registry

The database carries commands between nodes (a call that is up has an open record there); who is on the node itself
uses `LocalCommands`, which works while the database is gone.
"""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

import msgspec
import structlog

from sent.calls.ending import EndCode, Ending
from sent.calls.registry import CallRegistry
from sent.calls.repository import COMMAND_SQL, FIND_LIVE_CALL_SQL
from sent.infra.db import Actor, Database
from sent.infra.db.listen import listen
from sent.kit.errors import NotFound

log = structlog.get_logger("sent.calls")

CHANNEL = "sent_call_commands"
_MAX_WHO = 100


class CommandPort(Protocol):
    async def hang_up(self, call_id: UUID, organization_id: UUID, who: str) -> None:
        """End a call. ``who`` is named in the record. Raises `NotFound` (``calls.not_live``)."""


class HangUpCommand(msgspec.Struct, frozen=True):
    """What travels; at most some 200 octets (NOTIFY takes 8 000)."""

    call_id: UUID
    organization_id: UUID
    who: str

    def ending(self) -> Ending:
        return Ending(EndCode.HUNG_UP, f"{self.who[:_MAX_WHO]} ended the call.", by="system")


class LocalCommands:
    """For calls of this process."""

    def __init__(self, registry: CallRegistry) -> None:
        self._registry = registry

    async def hang_up(self, call_id: UUID, organization_id: UUID, who: str) -> None:
        command = HangUpCommand(call_id, organization_id, who)
        if not self._registry.hang_up(call_id, organization_id, command.ending()):
            raise _not_live()


class DatabaseCommands:
    """For calls of any node. ``actor`` is who the audit log names. Also raises `Unavailable`."""

    def __init__(self, database: Database, actor: Actor) -> None:
        self._database = database
        self._actor = actor

    async def hang_up(self, call_id: UUID, organization_id: UUID, who: str) -> None:
        """The call's node ends it within moments; its record then says so."""
        values = {"organization_id": organization_id, "id": call_id}
        async with self._database.transaction(organization_id, self._actor) as connection:
            found = await connection.execute(FIND_LIVE_CALL_SQL, values)
            if await found.fetchone() is None:
                raise _not_live()
            command = msgspec.json.encode(HangUpCommand(call_id, organization_id, who[:_MAX_WHO])).decode()
            await connection.execute(COMMAND_SQL, {"channel": CHANNEL, "command": command, "id": call_id})


async def follow_commands(dsn: str, registry: CallRegistry) -> None:
    """Do what is asked of this node's calls, until cancelled. ``dsn`` is `Database.server_dsn`.

    A command that was sent while the connection was away is lost: who sent it sees that the call is still up.
    """

    def received(payload: str) -> None:
        try:
            command = msgspec.json.decode(payload, type=HangUpCommand)
        except msgspec.MsgspecError:
            log.warning("calls.bad_command", octets=len(payload))
            return
        registry.hang_up(command.call_id, command.organization_id, command.ending())

    await listen(dsn, CHANNEL, received, lambda: None)


def _not_live() -> NotFound:
    return NotFound("calls.not_live", "No such call is up now; `sent calls --live` lists those that are.")
