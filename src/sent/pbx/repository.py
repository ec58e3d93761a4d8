"""All SQL of `pbx`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import LiteralString
from uuid import UUID


@dataclass(frozen=True, slots=True)
class ExtensionRow:
    id: UUID
    number: str
    kind: str
    name: str
    user_id: UUID | None
    announcement: str | None


@dataclass(frozen=True, slots=True)
class SettingsRow:
    record_internal: bool
    record_outside: bool


LIST_EXTENSIONS_SQL: LiteralString = """
SELECT id, number, kind, name, user_id, announcement FROM extensions
WHERE organization_id = %(organization_id)s ORDER BY number"""

PUT_EXTENSION_SQL: LiteralString = """
INSERT INTO extensions (id, organization_id, number, kind, name, user_id, announcement)
VALUES (%(id)s, %(organization_id)s, %(number)s, %(kind)s, %(name)s, %(user_id)s, %(announcement)s)
ON CONFLICT (organization_id, number) DO UPDATE SET
  kind = excluded.kind, name = excluded.name, user_id = excluded.user_id, announcement = excluded.announcement
RETURNING id, number, kind, name, user_id, announcement"""

DELETE_EXTENSION_SQL: LiteralString = """
DELETE FROM extensions WHERE organization_id = %(organization_id)s AND number = %(number)s RETURNING id"""

GET_SETTINGS_SQL: LiteralString = """
SELECT record_internal, record_outside FROM pbx_settings WHERE organization_id = %(organization_id)s"""

PUT_SETTINGS_SQL: LiteralString = """
INSERT INTO pbx_settings (organization_id, record_internal, record_outside)
VALUES (%(organization_id)s, %(record_internal)s, %(record_outside)s)
ON CONFLICT (organization_id) DO UPDATE SET
  record_internal = excluded.record_internal, record_outside = excluded.record_outside"""
