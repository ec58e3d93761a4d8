"""Forward-only SQL migrations.

Files are ``src/sent/<module>/migrations/NNNN_name.sql``, run in the order of their names across all modules, each in
a transaction of its own, under an advisory lock, so that two nodes that start together do not race. What has run is
kept with its SHA-256: a file that changed afterwards is refused, because this database no longer is what the file
says.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psycopg

from sent.kit.errors import SentError

_NAME = re.compile(r"\d{4}_[a-z0-9_]+\.sql")
_ADVISORY_LOCK = 0x53454E54  # "SENT"
_LOCK_TIMEOUT = "60s"

SCHEMA_SQL = "CREATE SCHEMA IF NOT EXISTS sent"
TABLE_SQL = """
CREATE TABLE IF NOT EXISTS sent.migrations (
  name       text PRIMARY KEY,
  sha256     text NOT NULL,
  applied_at timestamptz NOT NULL DEFAULT now()
)"""

APPLIED_SQL = "SELECT name, sha256 FROM sent.migrations"


class MigrationError(SentError):
    """The database and the migration files do not fit together; nothing was changed by the failing file."""


@dataclass(frozen=True, slots=True)
class Migration:
    name: str
    text: str

    @property
    def sha256(self) -> str:
        return hashlib.sha256(self.text.encode()).hexdigest()


def find_migrations(package_dir: Path | None = None) -> list[Migration]:
    """All migrations of the installed package, in running order. Raises `MigrationError` on a bad or doubled name."""
    root = package_dir or Path(__file__).parents[2]
    found: dict[str, Migration] = {}
    numbers: dict[str, Path] = {}
    for path in sorted(root.glob("*/migrations/*.sql"), key=lambda p: p.name):
        if not _NAME.fullmatch(path.name):
            raise MigrationError("db.migration_name", f"{path} must be named NNNN_name.sql (lower case)")
        number = path.name[:4]
        if number in numbers:
            raise MigrationError(
                "db.migration_name", f"{path} and {numbers[number]} have the same number: give one the next free one"
            )
        numbers[number] = path
        found[path.name] = Migration(path.name, path.read_text(encoding="utf-8"))
    return list(found.values())


def migrate(owner_dsn: str, files: Iterable[Migration]) -> list[str]:
    """Bring the database up to date; returns the names that ran now. Raises `MigrationError`."""
    with psycopg.connect(owner_dsn, autocommit=True, connect_timeout=5) as connection:
        return migrate_on(connection, list(files))


def migrate_on(connection: psycopg.Connection, files: Sequence[Migration]) -> list[str]:
    """`migrate` on a connection of the owner that is in autocommit mode."""
    pending = _pending(connection, files)
    if not pending:
        return []
    connection.execute("SELECT set_config('lock_timeout', %s, false)", (_LOCK_TIMEOUT,))
    try:
        connection.execute("SELECT pg_advisory_lock(%s)", (_ADVISORY_LOCK,))
    except psycopg.errors.LockNotAvailable as error:
        raise MigrationError(
            "db.migration_lock",
            f"another node has been migrating this database for more than {_LOCK_TIMEOUT}; wait for it, or stop it",
        ) from error
    try:
        connection.execute(SCHEMA_SQL)
        connection.execute(TABLE_SQL)
        ran = []
        for migration in _pending(connection, files):
            _apply(connection, migration)
            ran.append(migration.name)
        return ran
    finally:
        if not connection.closed:
            connection.execute("SELECT pg_advisory_unlock(%s)", (_ADVISORY_LOCK,))


def _pending(connection: psycopg.Connection, files: Sequence[Migration]) -> list[Migration]:
    try:
        applied: dict[str, str] = dict(connection.execute(APPLIED_SQL).fetchall())
    except (psycopg.errors.UndefinedTable, psycopg.errors.InvalidSchemaName):
        return list(files)
    known = {migration.name for migration in files}
    if unknown := sorted(applied.keys() - known):
        raise MigrationError(
            "db.newer_schema",
            f"this database was migrated by a newer SENT ({unknown[-1]} is not known here); install that version",
        )
    for migration in files:
        if applied.get(migration.name, migration.sha256) != migration.sha256:
            raise MigrationError(
                "db.migration_changed",
                f"{migration.name} has changed since it ran on this database; put its old text back and make the"
                " change in a new file",
            )
    return [migration for migration in files if migration.name not in applied]


def _apply(connection: psycopg.Connection, migration: Migration) -> None:
    try:
        with connection.transaction():
            connection.execute("SELECT set_config('search_path', 'sent, pg_catalog', true)")
            # The owner is bound by the forced policies, too; a migration may rewrite rows of all organizations.
            connection.execute(
                "SELECT set_config('sent.reason', 'migrate', true), set_config('sent.actor', %s, true)",
                (f"migration:{migration.name}",),
            )
            # Without parameters psycopg uses the simple protocol, which runs many statements in one go.
            connection.execute(migration.text.encode())
            connection.execute(
                "INSERT INTO sent.migrations (name, sha256) VALUES (%s, %s)", (migration.name, migration.sha256)
            )
    except psycopg.Error as error:
        where = f", line {_line(migration.text, error)}" if error.diag.statement_position else ""
        raise MigrationError("db.migration_failed", f"{migration.name}{where}: {error}") from error


def _line(text: str, error: psycopg.Error) -> int:
    return text.count("\n", 0, int(error.diag.statement_position or 0)) + 1
