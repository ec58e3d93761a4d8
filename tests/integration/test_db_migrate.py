"""Migrations: once, in order, whole or not at all, and never a changed one."""

from __future__ import annotations

import threading
from collections.abc import Iterator

import psycopg
import pytest
from psycopg import sql
from psycopg.conninfo import make_conninfo

from sent.infra.db import roles
from sent.infra.db.database import prepare
from sent.infra.db.embedded import EmbeddedPostgres
from sent.infra.db.migrate import Migration, MigrationError, find_migrations, migrate

pytestmark = pytest.mark.database

ONE = Migration("0001_one.sql", "CREATE TABLE sent.one (id int); INSERT INTO sent.one VALUES (1);")
TWO = Migration("0002_two.sql", "ALTER TABLE one ADD name text; -- by the search path")
BROKEN = Migration("0003_broken.sql", "CREATE TABLE sent.three (id int);\n\nSELECT nonsense;\n")


@pytest.fixture
def empty_dsn(postgres_server: EmbeddedPostgres) -> Iterator[str]:
    with psycopg.connect(postgres_server.superuser_dsn(), autocommit=True) as connection:
        connection.execute("CREATE DATABASE sent_empty OWNER sent")
        yield make_conninfo(postgres_server.start(), dbname="sent_empty")
        connection.execute("DROP DATABASE sent_empty WITH (FORCE)")


def tables(dsn: str) -> set[str]:
    with psycopg.connect(dsn) as connection:
        return {row[0] for row in connection.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'sent'")}


def test_in_order_once(empty_dsn: str) -> None:
    assert migrate(empty_dsn, [ONE]) == ["0001_one.sql"]
    assert migrate(empty_dsn, [ONE, TWO]) == ["0002_two.sql"]
    assert migrate(empty_dsn, [ONE, TWO]) == []
    assert tables(empty_dsn) == {"one", "migrations"}


def test_a_failing_file_changes_nothing_and_names_its_line(empty_dsn: str) -> None:
    with pytest.raises(MigrationError, match=r"0003_broken\.sql, line 3: .*nonsense"):
        migrate(empty_dsn, [ONE, TWO, BROKEN])
    assert tables(empty_dsn) == {"one", "migrations"}
    repaired = Migration(BROKEN.name, "CREATE TABLE sent.three (id int);")
    assert migrate(empty_dsn, [ONE, TWO, repaired]) == [BROKEN.name]


def test_a_changed_file_is_refused(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE])
    with pytest.raises(MigrationError, match="put its old text back"):
        migrate(empty_dsn, [Migration(ONE.name, ONE.text + " "), TWO])
    assert tables(empty_dsn) == {"one", "migrations"}


def test_a_database_of_a_newer_sent_is_refused(empty_dsn: str) -> None:
    migrate(empty_dsn, [ONE, TWO])
    with pytest.raises(MigrationError, match="newer SENT"):
        migrate(empty_dsn, [ONE])


def test_two_nodes_that_start_together_migrate_once(empty_dsn: str) -> None:
    slow = Migration("0001_slow.sql", "SELECT pg_sleep(0.1); CREATE TABLE sent.slow (id int);")
    ran: list[list[str]] = []
    threads = [threading.Thread(target=lambda: ran.append(migrate(empty_dsn, [slow]))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(ran) == [[], [], ["0001_slow.sql"]]


def test_two_nodes_that_start_together_become_the_same_role(empty_dsn: str) -> None:
    found: list[str] = []
    threads = [threading.Thread(target=lambda: found.append(prepare(empty_dsn))) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(found) == 3
    assert len(set(found)) == 1
    with psycopg.connect(found[0]) as connection:
        row = connection.execute("SELECT current_user").fetchone()
    assert row == ("sent_server_sent_empty",)


def test_a_restored_dump_gets_its_login_back(empty_dsn: str) -> None:
    before = prepare(empty_dsn)
    with psycopg.connect(empty_dsn, autocommit=True) as connection:
        connection.execute("DROP ROLE sent_server_sent_empty")
    assert prepare(empty_dsn) == before
    with psycopg.connect(before):
        pass


def test_an_owner_who_cannot_make_roles_hears_what_to_do(postgres_server: EmbeddedPostgres, empty_dsn: str) -> None:
    with psycopg.connect(postgres_server.superuser_dsn(), autocommit=True) as superuser:
        superuser.execute("CREATE ROLE weak LOGIN PASSWORD 'weak'")
        superuser.execute("ALTER DATABASE sent_empty OWNER TO weak")
        try:
            with pytest.raises(roles.RoleError, match='ALTER ROLE "weak" CREATEROLE'):
                prepare(make_conninfo(empty_dsn, user="weak", password="weak"))
        finally:
            superuser.execute("DROP DATABASE sent_empty WITH (FORCE)")
            superuser.execute("DROP ROLE weak")
            superuser.execute("CREATE DATABASE sent_empty OWNER sent")


def test_a_role_that_was_made_too_powerful_is_refused(postgres_server: EmbeddedPostgres, empty_dsn: str) -> None:
    role = sql.Identifier(roles.APP_ROLE)
    with psycopg.connect(postgres_server.superuser_dsn(), autocommit=True) as superuser:
        prepare(empty_dsn)
        superuser.execute(sql.SQL("ALTER ROLE {} BYPASSRLS").format(role))
        try:
            with pytest.raises(roles.RoleError, match="NOBYPASSRLS"):
                prepare(empty_dsn)
        finally:
            superuser.execute(sql.SQL("ALTER ROLE {} NOBYPASSRLS").format(role))


def test_the_files_of_the_package_are_found_in_order() -> None:
    names = [migration.name for migration in find_migrations()]
    assert names == sorted(names)
    assert {"0001_foundation.sql", "0002_audit.sql", "0010_identity.sql"} <= set(names)
