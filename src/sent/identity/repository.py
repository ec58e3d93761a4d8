"""All SQL of identity."""

# ruff: noqa: S608
# The statements are put together of this file's own constants; the type LiteralString proves that no input is in them.

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, LiteralString
from uuid import UUID

from psycopg.rows import class_row, kwargs_row

from sent.identity.models import Device, DigestAlgorithm, Organization, User
from sent.identity.roles import Role
from sent.infra.db import Connection

_ORGANIZATION: LiteralString = "id, name, slug, home_region, created_at"
_USER: LiteralString = "id, organization_id, name, email, role, created_at, disabled_at"
_DEVICE: LiteralString = "id, organization_id, user_id, name, sip_username, digest_algorithm, created_at, disabled_at"

ADD_ORGANIZATION_SQL: LiteralString = f"""
INSERT INTO sent.organizations (id, name, slug, home_region) VALUES (%(id)s, %(name)s, %(slug)s, %(home_region)s)
RETURNING {_ORGANIZATION}"""
ORGANIZATIONS_SQL: LiteralString = f"SELECT {_ORGANIZATION} FROM sent.organizations ORDER BY slug"
ORGANIZATION_BY_SLUG_SQL: LiteralString = f"SELECT {_ORGANIZATION} FROM sent.organizations WHERE slug = %(slug)s"

ADD_USER_SQL: LiteralString = f"""
INSERT INTO sent.users (id, organization_id, name, email, role)
VALUES (%(id)s, %(organization_id)s, %(name)s, %(email)s, %(role)s)
RETURNING {_USER}"""
USER_SQL: LiteralString = f"SELECT {_USER} FROM sent.users WHERE id = %(id)s"
USERS_SQL: LiteralString = f"SELECT {_USER} FROM sent.users ORDER BY lower(name), id"
# Locks them, so that two owners who disable each other at once do not leave none.
LOCK_ACTIVE_OWNERS_SQL: LiteralString = """
SELECT id FROM sent.users WHERE role = 'owner' AND disabled_at IS NULL ORDER BY id FOR UPDATE"""
SET_USER_ROLE_SQL: LiteralString = f"UPDATE sent.users SET role = %(role)s WHERE id = %(id)s RETURNING {_USER}"
SET_USER_DISABLED_SQL: LiteralString = f"""
UPDATE sent.users SET disabled_at = CASE WHEN %(disabled)s THEN coalesce(disabled_at, now()) END
WHERE id = %(id)s RETURNING {_USER}"""

ADD_DEVICE_SQL: LiteralString = f"""
INSERT INTO sent.devices (id, organization_id, user_id, name, sip_username, sealed_secret, digest_algorithm)
VALUES (%(id)s, %(organization_id)s, %(user_id)s, %(name)s, %(sip_username)s, %(sealed_secret)s, %(digest_algorithm)s)
RETURNING {_DEVICE}"""
DEVICES_SQL: LiteralString = f"SELECT {_DEVICE} FROM sent.devices ORDER BY lower(name), id"
DEVICES_OF_USER_SQL: LiteralString = f"SELECT {_DEVICE} FROM sent.devices WHERE user_id = %(user_id)s ORDER BY id"
DEVICE_SQL: LiteralString = f"SELECT {_DEVICE} FROM sent.devices WHERE id = %(id)s"
SEALED_OF_DEVICE_SQL: LiteralString = "SELECT sealed_secret FROM sent.devices WHERE id = %(id)s"
SET_DEVICE_SECRET_SQL: LiteralString = f"""
UPDATE sent.devices SET sealed_secret = %(sealed_secret)s WHERE id = %(id)s RETURNING {_DEVICE}"""
SET_DEVICE_ALGORITHM_SQL: LiteralString = f"""
UPDATE sent.devices SET digest_algorithm = %(digest_algorithm)s WHERE id = %(id)s RETURNING {_DEVICE}"""
SET_DEVICE_DISABLED_SQL: LiteralString = f"""
UPDATE sent.devices SET disabled_at = CASE WHEN %(disabled)s THEN coalesce(disabled_at, now()) END
WHERE id = %(id)s RETURNING {_DEVICE}"""

FIND_DEVICE_SQL: LiteralString = """
SELECT organization_id, user_id, user_name, device_id, device_name, sip_username, sealed_secret, digest_algorithm,
       disabled
FROM sent.find_device(%(sip_username)s)"""


@dataclass(frozen=True, slots=True)
class FoundDevice:
    organization_id: UUID
    user_id: UUID
    user_name: str
    device_id: UUID
    device_name: str
    sip_username: str
    sealed_secret: bytes = field(repr=False)
    digest_algorithm: DigestAlgorithm
    disabled: bool


def _user(*, role: str, **columns: Any) -> User:
    return User(role=Role(role), **columns)


def _device(*, digest_algorithm: str, **columns: Any) -> Device:
    return Device(digest_algorithm=DigestAlgorithm(digest_algorithm), **columns)


def _found(*, digest_algorithm: str, **columns: Any) -> FoundDevice:
    return FoundDevice(digest_algorithm=DigestAlgorithm(digest_algorithm), **columns)


async def organizations(connection: Connection, query: LiteralString, **values: object) -> list[Organization]:
    """The rows of a query of this file that gives organizations. ``values`` are its parameters."""
    async with connection.cursor(row_factory=class_row(Organization)) as cursor:
        return await (await cursor.execute(query, values)).fetchall()


async def users(connection: Connection, query: LiteralString, **values: object) -> list[User]:
    async with connection.cursor(row_factory=kwargs_row(_user)) as cursor:
        return await (await cursor.execute(query, values)).fetchall()


async def devices(connection: Connection, query: LiteralString, **values: object) -> list[Device]:
    async with connection.cursor(row_factory=kwargs_row(_device)) as cursor:
        return await (await cursor.execute(query, values)).fetchall()


async def sealed_secret(connection: Connection, device_id: UUID) -> bytes:
    """Of a device that was just found in this transaction."""
    cursor = await connection.execute(SEALED_OF_DEVICE_SQL, {"id": device_id})
    row = await cursor.fetchone()
    assert row is not None
    return bytes(row[0])


async def lock_active_owners(connection: Connection) -> list[UUID]:
    cursor = await connection.execute(LOCK_ACTIVE_OWNERS_SQL)
    return [row[0] for row in await cursor.fetchall()]


async def find_device(connection: Connection, sip_username: str) -> FoundDevice | None:
    """On a resolver connection."""
    async with connection.cursor(row_factory=kwargs_row(_found)) as cursor:
        return await (await cursor.execute(FIND_DEVICE_SQL, {"sip_username": sip_username})).fetchone()
