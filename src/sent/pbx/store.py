"""Reads and writes extensions and settings of one organization."""

from __future__ import annotations

import re
from uuid import UUID

from psycopg.rows import class_row

from sent.infra.db import Actor, Connection, Database
from sent.kit.errors import BadInput, NotFound
from sent.kit.ids import uuid7
from sent.pbx.models import Extension, ExtensionKind, PbxSettings, RoutingSnapshot
from sent.pbx.repository import (
    DELETE_EXTENSION_SQL,
    GET_SETTINGS_SQL,
    LIST_EXTENSIONS_SQL,
    PUT_EXTENSION_SQL,
    PUT_SETTINGS_SQL,
    ExtensionRow,
    SettingsRow,
)

_NUMBER = re.compile(r"[0-9*#]{1,15}")


class PbxStore:
    """Every method raises `Unavailable` while the database is gone."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def load(self, organization_id: UUID, actor: Actor) -> RoutingSnapshot:
        values = {"organization_id": organization_id}
        async with self._database.transaction(organization_id, actor) as connection:
            async with connection.cursor(row_factory=class_row(ExtensionRow)) as cursor:
                await cursor.execute(LIST_EXTENSIONS_SQL, values)
                rows = await cursor.fetchall()
            settings = await _settings(connection, organization_id)
        return RoutingSnapshot({row.number: _extension(row) for row in rows}, settings)

    async def put_extension(
        self,
        organization_id: UUID,
        actor: Actor,
        number: str,
        kind: ExtensionKind,
        *,
        name: str = "",
        user_id: UUID | None = None,
        announcement: str | None = None,
    ) -> Extension:
        """Create the extension, or give the number to something else. Raises `BadInput`."""
        check_number(number)
        if (kind is ExtensionKind.USER) != (user_id is not None):
            raise BadInput("pbx.bad_extension", "A user's extension needs its user, and no other kind has one.")
        if (kind is ExtensionKind.ANNOUNCEMENT) != (announcement is not None):
            raise BadInput("pbx.bad_extension", "An announcement needs the name of its audio; no other kind has one.")
        values = {
            "id": uuid7(),
            "organization_id": organization_id,
            "number": number,
            "kind": kind.value,
            "name": name,
            "user_id": user_id,
            "announcement": announcement,
        }
        async with (
            self._database.transaction(organization_id, actor) as connection,
            connection.cursor(row_factory=class_row(ExtensionRow)) as cursor,
        ):
            await cursor.execute(PUT_EXTENSION_SQL, values)
            row = await cursor.fetchone()
        assert row is not None, "an upsert returns its row"
        return _extension(row)

    async def delete_extension(self, organization_id: UUID, actor: Actor, number: str) -> None:
        """Raises `NotFound` (``pbx.no_such_extension``)."""
        values = {"organization_id": organization_id, "number": number}
        async with self._database.transaction(organization_id, actor) as connection:
            cursor = await connection.execute(DELETE_EXTENSION_SQL, values)
            if await cursor.fetchone() is None:
                raise NotFound("pbx.no_such_extension", f"There is no extension {number}.")

    async def put_settings(self, organization_id: UUID, actor: Actor, settings: PbxSettings) -> None:
        values = {
            "organization_id": organization_id,
            "record_internal": settings.record_internal,
            "record_outside": settings.record_outside,
        }
        async with self._database.transaction(organization_id, actor) as connection:
            await connection.execute(PUT_SETTINGS_SQL, values)


def check_number(number: str) -> None:
    """Can this be an extension? Raises `BadInput`."""
    if not _NUMBER.fullmatch(number):
        raise BadInput("pbx.bad_number", "An extension is 1 to 15 digits, * or #.")


async def _settings(connection: Connection, organization_id: UUID) -> PbxSettings:
    async with connection.cursor(row_factory=class_row(SettingsRow)) as cursor:
        await cursor.execute(GET_SETTINGS_SQL, {"organization_id": organization_id})
        row = await cursor.fetchone()
    return PbxSettings(row.record_internal, row.record_outside) if row is not None else PbxSettings()


def _extension(row: ExtensionRow) -> Extension:
    return Extension(row.id, row.number, ExtensionKind(row.kind), row.name, row.user_id, row.announcement)
