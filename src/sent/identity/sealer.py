"""What identity needs of the vault (`sent.infra.vault.Vault` is one)."""

from __future__ import annotations

from typing import Protocol
from uuid import UUID

from sent.infra.db import Connection


class Sealer(Protocol):
    """``context`` is bound to the sealed value: it opens only for the same context and organization."""

    async def seal(self, conn: Connection, organization_id: UUID, context: str, plaintext: bytes) -> bytes: ...

    async def open(self, conn: Connection, organization_id: UUID, context: str, sealed: bytes) -> bytes: ...


def device_context(device_id: UUID) -> str:
    return f"device.secret:{device_id}"
