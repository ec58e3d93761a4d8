"""Adding and changing trunks. What runs calls through them reads `directory.TrunkDirectory` instead."""

from __future__ import annotations

import ipaddress
from uuid import UUID

import psycopg

from sent.infra.db import Actor, Connection, Database
from sent.infra.vault import Vault
from sent.kit.errors import BadInput, Conflict, NotFound
from sent.kit.ids import uuid7
from sent.trunks import repository
from sent.trunks.models import Trunk, TrunkLimits, TrunkMode, TrunkNumber
from sent.trunks.numbers import to_e164


def password_context(trunk_id: UUID) -> str:
    """What binds a sealed password to its trunk."""
    return f"trunk.password:{trunk_id}"


class TrunkService:
    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault

    async def add(self, trunk: Trunk, password: str | None, actor: Actor) -> Trunk:
        """Store a new trunk. Raises `BadInput` with the field named, or `Conflict` when the name is taken."""
        check(trunk, password)
        async with self._database.transaction(trunk.organization_id, actor) as connection:
            sealed = None
            if password is not None:
                context = password_context(trunk.id)
                sealed = await self._vault.seal(connection, trunk.organization_id, context, password.encode())
            try:
                async with connection.transaction():
                    await repository.insert_trunk(connection, trunk, sealed)
            except psycopg.errors.UniqueViolation as error:
                words = f"There is a trunk named {trunk.name} already; choose another name."
                raise Conflict("trunk.name_taken", words) from error
        return trunk

    async def add_number(self, trunk: Trunk, number: str, extension: str, actor: Actor) -> TrunkNumber:
        """Let calls to ``number`` ring ``extension``; a number that the trunk has already is pointed there."""
        written = to_e164(number, trunk.country)
        if written is None:
            raise BadInput("trunk.bad_number", f"{number} is not a telephone number. Write it as +4930123456.")
        row = TrunkNumber(uuid7(), trunk.organization_id, trunk.id, written, extension)
        async with self._database.transaction(trunk.organization_id, actor) as connection:
            await repository.insert_number(connection, row)
        return row

    async def trunks(self, organization_id: UUID, actor: Actor) -> list[Trunk]:
        async with self._database.transaction(organization_id, actor) as connection:
            return [row.trunk() for row in await repository.load_trunks(connection)]

    async def numbers(self, organization_id: UUID, actor: Actor) -> list[TrunkNumber]:
        async with self._database.transaction(organization_id, actor) as connection:
            return await repository.load_numbers(connection)

    async def set_limits(self, organization_id: UUID, trunk_id: UUID, limits: TrunkLimits, actor: Actor) -> None:
        async with self._database.transaction(organization_id, actor) as connection:
            _found(await repository.update_limits(connection, trunk_id, limits))

    async def set_enabled(self, organization_id: UUID, trunk_id: UUID, enabled: bool, actor: Actor) -> None:
        async with self._database.transaction(organization_id, actor) as connection:
            _found(await repository.update_enabled(connection, trunk_id, enabled=enabled))

    async def remove(self, organization_id: UUID, trunk_id: UUID, actor: Actor) -> None:
        async with self._database.transaction(organization_id, actor) as connection:
            _found(await repository.delete_trunk(connection, trunk_id))


async def open_password(connection: Connection, vault: Vault, row: repository.TrunkRow) -> str | None:
    """Raises `VaultError`."""
    if row.sealed_password is None:
        return None
    opened = await vault.open(connection, row.organization_id, password_context(row.id), row.sealed_password)
    return opened.decode()


def check(trunk: Trunk, password: str | None) -> None:
    """What a trunk must have before it is stored. Raises `BadInput`."""
    if not trunk.name.strip():
        raise BadInput("trunk.no_name", "A trunk needs a name.")
    if not trunk.domain.strip():
        raise BadInput("trunk.no_domain", "A trunk needs the carrier's domain or address.")
    if trunk.mode is TrunkMode.REGISTER and not (trunk.username and password):
        raise BadInput("trunk.no_credentials", "A trunk that registers needs a user name and a password.")
    if trunk.mode is TrunkMode.ADDRESS and not trunk.sources:
        words = "A trunk by address needs the addresses that the carrier calls from (--source)."
        raise BadInput("trunk.no_sources", words)
    for source in trunk.sources:
        try:
            network = ipaddress.ip_network(source, strict=False)
        except ValueError as error:
            raise BadInput("trunk.bad_source", f"{source} is neither an address nor a network.") from error
        if network.prefixlen < 8 * (network.version // 2 - 1):
            raise BadInput(
                "trunk.wide_source", f"{source} would let half of the internet call. Name the carrier's own."
            )


def _found(found: bool) -> None:
    if not found:
        raise NotFound("trunk.not_found", "There is no such trunk.")
