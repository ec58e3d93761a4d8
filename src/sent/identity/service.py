"""Organizations, users and devices: every change of them, with its permission.

A device's secret is kept sealed; showing it again is an entry in the audit log.
"""

from __future__ import annotations

from typing import LiteralString
from uuid import UUID

import psycopg

from sent.identity import errors, repository
from sent.identity.device_secrets import new_secret, new_sip_username
from sent.identity.models import Device, DigestAlgorithm, NewSecret, Organization, Principal, User
from sent.identity.roles import Permission, Role, require
from sent.identity.rules import checked_email, checked_name, checked_region, checked_slug, require_may_manage
from sent.identity.sealer import Sealer, device_context
from sent.infra.audit import record
from sent.infra.db import Connection, Database, SystemReason
from sent.kit.ids import uuid7


class Identity:
    def __init__(self, database: Database, sealer: Sealer) -> None:
        self._database = database
        self._sealer = sealer

    # -- organizations: by who runs the server ------------------------------------------------------------------

    async def create_organization(self, name: str, slug: str, home_region: str) -> Organization:
        """Only from the command line and the demo, which is why nobody's role is asked for."""
        values = {
            "id": uuid7(),
            "name": checked_name(name, "organization"),
            "slug": checked_slug(slug),
            "home_region": checked_region(home_region),
        }
        try:
            async with self._database.system(SystemReason.PROVISION) as connection:
                (created,) = await repository.organizations(connection, repository.ADD_ORGANIZATION_SQL, **values)
                await record(connection, "organization.create", f"organizations/{created.id}", {"slug": slug})
                return created
        except psycopg.errors.UniqueViolation as error:
            raise errors.slug_taken(slug) from error

    async def list_organizations(self) -> list[Organization]:
        async with self._database.system(SystemReason.PROVISION) as connection:
            return await repository.organizations(connection, repository.ORGANIZATIONS_SQL)

    async def find_organization(self, slug: str) -> Organization:
        """Raises `NotFound`."""
        async with self._database.system(SystemReason.PROVISION) as connection:
            found = await repository.organizations(connection, repository.ORGANIZATION_BY_SLUG_SQL, slug=slug)
        if not found:
            raise errors.no_such_organization(slug)
        return found[0]

    # -- users --------------------------------------------------------------------------------------------------

    async def create_user(self, principal: Principal, name: str, email: str | None, role: Role) -> User:
        require_may_manage(principal.role, role)
        values = {
            "id": uuid7(),
            "organization_id": principal.organization_id,
            "name": checked_name(name, "user"),
            "email": checked_email(email),
            "role": role,
        }
        try:
            async with self._database.transaction(principal.organization_id, principal.actor) as connection:
                (created,) = await repository.users(connection, repository.ADD_USER_SQL, **values)
                return created
        except psycopg.errors.UniqueViolation as error:
            raise errors.email_taken() from error

    async def list_users(self, principal: Principal) -> list[User]:
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            return await repository.users(connection, repository.USERS_SQL)

    async def set_user_role(self, principal: Principal, user_id: UUID, role: Role) -> User:
        """Raises `Conflict` for the last active owner."""
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            await self._check_user_change(connection, principal, user_id, stays_owner=role is Role.OWNER)
            require_may_manage(principal.role, role)
            (changed,) = await repository.users(connection, repository.SET_USER_ROLE_SQL, id=user_id, role=role)
            return changed

    async def disable_user(self, principal: Principal, user_id: UUID, disabled: bool = True) -> User:
        """All devices of the user stop working with it. Raises `Conflict` for the last active owner."""
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            await self._check_user_change(connection, principal, user_id, stays_owner=not disabled)
            (changed,) = await repository.users(
                connection, repository.SET_USER_DISABLED_SQL, id=user_id, disabled=disabled
            )
            return changed

    async def _check_user_change(
        self, connection: Connection, principal: Principal, user_id: UUID, *, stays_owner: bool
    ) -> None:
        owners = await repository.lock_active_owners(connection)
        user = await self._user(connection, user_id)
        require_may_manage(principal.role, user.role)
        if owners == [user_id] and not stays_owner:
            raise errors.last_owner()

    async def _user(self, connection: Connection, user_id: UUID) -> User:
        found = await repository.users(connection, repository.USER_SQL, id=user_id)
        if not found:
            raise errors.no_such_user(user_id)
        return found[0]

    # -- devices ------------------------------------------------------------------------------------------------

    async def create_device(
        self, principal: Principal, user_id: UUID, name: str, algorithm: DigestAlgorithm = DigestAlgorithm.MD5
    ) -> NewSecret:
        require(principal.role, Permission.MANAGE_DEVICES)
        device_id, secret = uuid7(), new_secret()
        name = checked_name(name, "device")
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            await self._user(connection, user_id)
            (created,) = await repository.devices(
                connection,
                repository.ADD_DEVICE_SQL,
                id=device_id,
                organization_id=principal.organization_id,
                user_id=user_id,
                name=name,
                sip_username=new_sip_username(),
                sealed_secret=await self._seal(connection, principal, device_id, secret),
                digest_algorithm=algorithm,
            )
        return NewSecret(created, secret)

    async def list_devices(self, principal: Principal, user_id: UUID | None = None) -> list[Device]:
        """Of one user, or all."""
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            if user_id is None:
                return await repository.devices(connection, repository.DEVICES_SQL)
            return await repository.devices(connection, repository.DEVICES_OF_USER_SQL, user_id=user_id)

    async def reset_device_secret(self, principal: Principal, device_id: UUID) -> NewSecret:
        """A new secret; the old one stops working at once."""
        secret = new_secret()
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            sealed = await self._seal(connection, principal, device_id, secret)
            changed = await self._change_device(
                connection, principal, device_id, repository.SET_DEVICE_SECRET_SQL, sealed_secret=sealed
            )
        return NewSecret(changed, secret)

    async def reveal_device_secret(self, principal: Principal, device_id: UUID) -> NewSecret:
        """The secret again, to set up a phone; whoever asks is in the audit log."""
        require(principal.role, Permission.MANAGE_DEVICES)
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            found = await repository.devices(connection, repository.DEVICE_SQL, id=device_id)
            if not found:
                raise errors.no_such_device(device_id)
            sealed = await repository.sealed_secret(connection, device_id)
            secret = await self._sealer.open(connection, principal.organization_id, device_context(device_id), sealed)
            await record(connection, "device.reveal_secret", f"devices/{device_id}", {})
        return NewSecret(found[0], secret.decode())

    async def set_device_algorithm(self, principal: Principal, device_id: UUID, algorithm: DigestAlgorithm) -> Device:
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            return await self._change_device(
                connection, principal, device_id, repository.SET_DEVICE_ALGORITHM_SQL, digest_algorithm=algorithm
            )

    async def disable_device(self, principal: Principal, device_id: UUID, disabled: bool = True) -> Device:
        async with self._database.transaction(principal.organization_id, principal.actor) as connection:
            return await self._change_device(
                connection, principal, device_id, repository.SET_DEVICE_DISABLED_SQL, disabled=disabled
            )

    async def _change_device(
        self, connection: Connection, principal: Principal, device_id: UUID, query: LiteralString, **values: object
    ) -> Device:
        require(principal.role, Permission.MANAGE_DEVICES)
        changed = await repository.devices(connection, query, id=device_id, **values)
        if not changed:
            raise errors.no_such_device(device_id)
        return changed[0]

    async def _seal(self, connection: Connection, principal: Principal, device_id: UUID, secret: str) -> bytes:
        return await self._sealer.seal(
            connection, principal.organization_id, device_context(device_id), secret.encode()
        )
