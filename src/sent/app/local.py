"""What a command on the server's own machine works with: the database, whether the server runs or not."""

from __future__ import annotations

import contextlib
import getpass
from collections.abc import AsyncIterator
from dataclasses import dataclass

from sent.app.settings import Settings
from sent.identity.models import Organization, Principal
from sent.identity.service import Identity
from sent.infra.db import Actor, Database, DatabaseSettings, SystemReason
from sent.infra.db.attach import running_owner_dsn
from sent.infra.vault import MasterKeys, Vault, load_master_key
from sent.kit.errors import BadInput, NotFound


@dataclass(frozen=True, slots=True)
class Local:
    settings: Settings
    database: Database
    vault: Vault
    identity: Identity

    @property
    def actor(self) -> Actor:
        return Actor("cli", getpass.getuser())

    async def organization(self, slug: str | None) -> Organization:
        """The one named, or the only one. Raises `NotFound` or `BadInput`, naming those that there are."""
        if slug is not None:
            return await self.identity.find_organization(slug)
        there = await self.identity.list_organizations()
        if not there:
            raise NotFound("organization.none", "There is no organization yet. Add one: sent organization add NAME.")
        if len(there) > 1:
            slugs = ", ".join(organization.slug for organization in there)
            raise BadInput("organization.ambiguous", f"Say which with --organization: {slugs}.")
        return there[0]

    async def principal(self, slug: str | None) -> Principal:
        return Principal.of_command_line((await self.organization(slug)).id, getpass.getuser())


def database_settings(settings: Settings, *, pool_size: int = 10) -> DatabaseSettings:
    return DatabaseSettings(settings.database_url, settings.data_dir / "postgres", pool_size)


async def open_vault(database: Database, master: MasterKeys) -> Vault:
    """Raises `VaultError` when the master key is not the one that the database's secrets were sealed with."""
    vault = Vault(master)
    async with database.system(SystemReason.DIAGNOSE) as connection:
        await vault.check_master(connection)
    return vault


@contextlib.asynccontextmanager
async def open_local(settings: Settings) -> AsyncIterator[Local]:
    """Attaches to the database of the server that runs, or starts the embedded one for as long as the command takes."""
    url = settings.database_url or running_owner_dsn(settings.data_dir / "postgres")
    database = await Database.open(DatabaseSettings(url, settings.data_dir / "postgres", pool_size=2))
    try:
        vault = await open_vault(database, load_master_key(settings.data_dir / "master.key"))
        yield Local(settings, database, vault, Identity(database, vault))
    finally:
        await database.close()
