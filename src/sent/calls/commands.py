"""How the API and the command line control a call: through a port, since the call may live on another node."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from sent.calls.ending import EndCode, Ending
from sent.calls.registry import CallRegistry
from sent.kit.errors import NotFound


class CommandPort(Protocol):
    async def hang_up(self, call_id: UUID, organization_id: UUID, who: str) -> None:
        """End a call. ``who`` is named in the record. Raises `NotFound` (``call.not_live``)."""


class LocalCommands:
    """For the one node that carries all calls."""

    def __init__(self, registry: CallRegistry) -> None:
        self._registry = registry

    async def hang_up(self, call_id: UUID, organization_id: UUID, who: str) -> None:
        ending = Ending(EndCode.HUNG_UP, f"{who} ended the call.", by="system")
        if not self._registry.hang_up(call_id, organization_id, ending):
            raise NotFound("call.not_live", "No such call is up now; `sent calls` lists those that are.")
