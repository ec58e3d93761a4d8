"""The vault: seal and open values for an organization, within the caller's transaction."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable
from typing import Any
from uuid import UUID

from psycopg import AsyncConnection

from sent.infra.vault import repository
from sent.infra.vault.errors import VaultError
from sent.infra.vault.master import MasterKeys
from sent.infra.vault.sealing import Key, key_id_of, new_key, open_sealed, seal
from sent.kit.ids import uuid7

_PURPOSE = "organization-key"
_CACHED_KEYS = 4_096
_ACTIVE_SECONDS = 300.0
"""How long this process goes on sealing with a key that another process retired. Old keys stay readable."""


class Vault:
    """AES-256-GCM with a key per organization. Cheap after the first use: the keys are cached in memory.

    A ``context`` names the place of a value (``device.secret:<id>``). It is not stored: the same one must be given
    to open. ``conn`` is any connection whose transaction may read the organization's keys; sealing for the
    first time also writes one, so it needs `Database.transaction` of that organization.
    """

    def __init__(self, master: MasterKeys, clock: Callable[[], float] = time.monotonic) -> None:
        self._master = master
        self._clock = clock
        self._keys: OrderedDict[tuple[UUID, UUID], Key] = OrderedDict()
        self._active: OrderedDict[UUID, tuple[UUID, float]] = OrderedDict()

    def __repr__(self) -> str:
        return f"Vault({self._master!r})"

    async def seal(self, conn: AsyncConnection, organization_id: UUID, context: str, plaintext: bytes) -> bytes:
        """A value that only `open` with the same organization and context gives back."""
        associated = _associated(organization_id, context)
        key = self._cached_active(organization_id) or await self._load_active(conn, organization_id)
        return seal(key, associated, plaintext)

    async def open(self, conn: AsyncConnection, organization_id: UUID, context: str, sealed: bytes) -> bytes:
        """Raises `VaultError` (``vault.cannot_open``, ``vault.master_key_missing``)."""
        associated = _associated(organization_id, context)
        key_id = key_id_of(sealed)
        key = self._keys.get((organization_id, key_id))
        if key is None:
            row = await repository.read_key(conn, organization_id, key_id)
            if row is None:
                raise VaultError(
                    "vault.cannot_open",
                    "The key of a stored secret is not in the database: it belongs to another organization, or the "
                    "database was restored without it. Restore both from one backup, or set the secret anew.",
                    key_id=str(key_id),
                )
            key = self._unwrap(organization_id, row)
        return open_sealed(key, associated, sealed)

    async def rotate(self, conn: AsyncConnection, organization_id: UUID) -> UUID:
        """Seal with a new key from now on; what the old ones sealed stays readable. Returns the new key's id."""
        await repository.retire_key(conn, organization_id)
        self._active.pop(organization_id, None)
        return (await self._create(conn, organization_id)).id

    async def rotate_master(self, conn: AsyncConnection) -> int:
        """Wrap every organization's keys with the current master key; returns how many were not.

        ``conn`` must see all organizations (`Database.system`). When its transaction has committed, the older
        master keys may be taken out of the file.
        """
        rows = await repository.read_wrapped_otherwise(conn, self._master.current_id(_PURPOSE))
        for row in rows:
            associated = _wrapping(row.organization_id, row.id)
            octets = self._master.open(_PURPOSE, associated, row.sealed_key)
            await repository.update_wrapping(conn, row.id, self._master.seal(_PURPOSE, associated, octets))
        return len(rows)

    async def check_master(self, conn: AsyncConnection) -> None:
        """Raises ``vault.master_key_missing`` unless the master keys open every organization's keys.

        Once at the start, before anything is sealed: with another master key (a file that was lost and made anew) new
        secrets would be sealed beside old ones that nobody can open. ``conn`` must see all organizations.
        """
        if await repository.read_wrapping_keys(conn) - self._master.ids(_PURPOSE):
            raise VaultError(
                "vault.master_key_missing",
                f"The master key in {self._master.source} is not the one that this database's secrets were sealed "
                "with. Put the right one there from your backup (one that was replaced goes on a line below), and "
                "start again. Nothing was changed.",
            )

    def _cached_active(self, organization_id: UUID) -> Key | None:
        key_id, until = self._active.get(organization_id, (None, 0.0))
        return self._keys.get((organization_id, key_id)) if key_id and self._clock() < until else None

    async def _load_active(self, conn: AsyncConnection, organization_id: UUID) -> Key:
        row = await repository.read_active_key(conn, organization_id)
        if row is None:
            return await self._create(conn, organization_id)
        key = self._unwrap(organization_id, row)
        if row.committed:
            self._active[organization_id] = (key.id, self._clock() + _ACTIVE_SECONDS)
            _trim(self._active)
        return key

    async def _create(self, conn: AsyncConnection, organization_id: UUID) -> Key:
        """A first key. Of two transactions at once the second waits for the first and then uses its key."""
        key = new_key(uuid7())
        wrapped = self._master.seal(_PURPOSE, _wrapping(organization_id, key.id), key.octets)
        await repository.insert_key(conn, key.id, organization_id, wrapped)
        row = await repository.read_active_key(conn, organization_id)
        if row is None:
            raise VaultError("vault.cannot_open", "The organization's key cannot be read on this connection.")
        return self._unwrap(organization_id, row)

    def _unwrap(self, organization_id: UUID, row: repository.KeyRow) -> Key:
        key = Key(row.id, self._master.open(_PURPOSE, _wrapping(organization_id, row.id), bytes(row.sealed_key)))
        if row.committed:  # else a rollback would leave values that are sealed with a key that nobody has
            self._keys[organization_id, key.id] = key
            _trim(self._keys)
        return key


def _associated(organization_id: UUID, context: str) -> bytes:
    if not context:
        raise VaultError("vault.bad_context", "A sealed value needs a context that names its place.")
    return organization_id.bytes + context.encode()


def _wrapping(organization_id: UUID, key_id: UUID) -> bytes:
    return organization_id.bytes + key_id.bytes


def _trim(cache: OrderedDict[Any, Any]) -> None:
    while len(cache) > _CACHED_KEYS:
        cache.popitem(last=False)
