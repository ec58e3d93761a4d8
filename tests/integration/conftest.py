"""One embedded server per test session, one freshly migrated database per test module, one `Database` per test."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from sent.infra.db import Database, DatabaseSettings
from sent.infra.db.database import prepare
from sent.infra.db.embedded import EmbeddedPostgres

TEMPLATE = "sent_template"
_numbers = itertools.count(1)


@pytest.fixture(scope="session")
def postgres_server() -> Iterator[EmbeddedPostgres]:
    # Not pytest's tmp_path: its parents are closed to the user that PostgreSQL runs as when the tests run as root.
    with tempfile.TemporaryDirectory(prefix="sent-test-") as folder:
        Path(folder).chmod(0o711)
        server = EmbeddedPostgres(Path(folder) / "postgres", durable=False)
        server.start()
        try:
            yield server
        finally:
            server.stop()


@pytest.fixture(scope="session")
def _template(postgres_server: EmbeddedPostgres) -> str:
    """A migrated database to copy from, owned as at a customer's: not by a superuser."""
    with psycopg.connect(postgres_server.superuser_dsn(), autocommit=True) as connection:
        connection.execute(sql.SQL("CREATE DATABASE {} OWNER sent").format(sql.Identifier(TEMPLATE)))
    prepare(make_conninfo(postgres_server.start(), dbname=TEMPLATE))
    return TEMPLATE


@pytest.fixture(scope="module")
def owner_dsn(postgres_server: EmbeddedPostgres, _template: str) -> Iterator[str]:
    """Conninfo of the owner of this module's own database, for looking behind the doors."""
    name = f"sent_{next(_numbers)}"
    with psycopg.connect(postgres_server.superuser_dsn(), autocommit=True) as connection:
        connection.execute(
            sql.SQL("CREATE DATABASE {} TEMPLATE {} OWNER sent").format(sql.Identifier(name), sql.Identifier(_template))
        )
        yield make_conninfo(postgres_server.start(), dbname=name)
        connection.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(sql.Identifier(name)))


@pytest.fixture
async def database(owner_dsn: str) -> AsyncIterator[Database]:
    """The server's own view: the restricted role, through the doors."""
    opened = await Database.open(DatabaseSettings(url=owner_dsn, pool_size=4))
    try:
        yield opened
    finally:
        await opened.close()
