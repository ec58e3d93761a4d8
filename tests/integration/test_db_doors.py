"""The doors: what each may see, that what it set ends with it, and what a failing database looks like."""

from __future__ import annotations

import asyncio
import contextlib
from uuid import UUID

import psycopg
import pytest

from sent.infra.db import Actor, Connection, Database, SystemReason
from sent.infra.db.database import POOL_WAIT_S, prepare
from sent.kit.errors import Unavailable
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database

ACTOR = Actor("user", "0190")
ONE, OTHER = uuid7(), uuid7()

TABLES = """
CREATE TABLE sent.notes (id uuid PRIMARY KEY, organization_id uuid NOT NULL, body text, sealed_pin bytea);
SELECT sent.make_tenant_table('notes');
CREATE TABLE sent.pings (name text PRIMARY KEY, organization_id uuid NOT NULL);
SELECT sent.make_ephemeral_table('pings');
CREATE FUNCTION sent.find_note(wanted text) RETURNS uuid LANGUAGE sql STABLE
  AS 'SELECT organization_id FROM sent.notes WHERE body = wanted';
SELECT sent.make_resolver('sent.find_note(text)');
"""


@pytest.fixture(scope="module", autouse=True)
def _tables(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as connection:
        connection.execute(TABLES)


async def add_note(connection: Connection, organization: UUID, body: str) -> UUID:
    note_id = uuid7()
    await connection.execute(
        "INSERT INTO notes (id, organization_id, body) VALUES (%s, %s, %s)", (note_id, organization, body)
    )
    return note_id


async def bodies(connection: Connection) -> set[str]:
    cursor = await connection.execute("SELECT body FROM notes")
    return {row[0] for row in await cursor.fetchall()}


async def test_a_transaction_sees_and_writes_its_own_organization_only(database: Database) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        await add_note(connection, ONE, "ours")
    async with database.transaction(OTHER, ACTOR) as connection:
        assert "ours" not in await bodies(connection)
        assert (await connection.execute("UPDATE notes SET body = 'stolen' WHERE true")).rowcount == 0
        assert (await connection.execute("DELETE FROM notes WHERE true")).rowcount == 0
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(OTHER, ACTOR) as connection:
            await add_note(connection, ONE, "planted")
    async with database.transaction(ONE, ACTOR) as connection:
        assert await bodies(connection) == {"ours"}


async def test_a_block_that_raises_writes_nothing(database: Database) -> None:
    async def write_half() -> None:
        async with database.transaction(ONE, ACTOR) as connection:
            await add_note(connection, ONE, "half")
            raise KeyError

    with pytest.raises(KeyError):
        await write_half()
    async with database.transaction(ONE, ACTOR) as connection:
        assert "half" not in await bodies(connection)


async def test_a_swallowed_error_is_not_taken_for_success(database: Database) -> None:
    async def swallow() -> None:
        async with database.transaction(ONE, ACTOR) as connection:
            await add_note(connection, ONE, "lost")
            with contextlib.suppress(psycopg.errors.DivisionByZero):
                await connection.execute("SELECT 1 / 0")

    with pytest.raises(psycopg.errors.InFailedSqlTransaction, match="swallowed"):
        await swallow()


async def test_nothing_set_by_a_door_outlives_it(database: Database) -> None:
    async with database.system(SystemReason.DIAGNOSE):
        pass
    async with database._pool.connection() as connection:  # behind the doors
        cursor = await connection.execute(
            "SELECT current_user = session_user, current_setting('sent.organization', true),"
            " current_setting('sent.reason', true), current_setting('sent.actor', true)"
        )
        assert await cursor.fetchone() in ((True, "", "", ""), (True, None, None, None))


async def test_the_bare_login_has_no_right_of_its_own(database: Database) -> None:
    async with database._pool.connection() as connection:
        for statement in ("SELECT * FROM sent.notes", "SELECT * FROM sent.pings", "SELECT sent.find_note('ours')"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(statement)
        for role in ("sent", "postgres"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                await connection.execute(f"SET ROLE {role}")


async def test_without_an_organization_nothing_is_there(database: Database) -> None:
    async with database.system(SystemReason.PROVISION) as connection:
        await add_note(connection, ONE, "here")
        for unset in ("", None):
            await connection.execute(
                "SELECT set_config('role', 'sent_app', true), set_config('sent.organization', %s, true)", (unset,)
            )
            assert await bodies(connection) == set()


async def test_system_sees_all_but_only_for_a_reason_of_the_list(database: Database) -> None:
    async with database.system(SystemReason.RETENTION) as connection:
        await add_note(connection, ONE, "first")
        await add_note(connection, OTHER, "second")
        assert {"first", "second"} <= await bodies(connection)
        await connection.execute("SELECT set_config('sent.reason', '', true)")
        assert await bodies(connection) == set()

    async def be_curious() -> None:
        async with database.system(SystemReason.RETENTION) as connection:
            await connection.execute("SELECT set_config('sent.reason', 'curiosity', true)")
            await bodies(connection)

    with pytest.raises(psycopg.errors.InvalidTextRepresentation):
        await be_curious()


async def test_a_reason_does_not_open_the_door_of_an_organization(database: Database) -> None:
    async with database.transaction(uuid7(), ACTOR) as connection:
        await connection.execute("SELECT set_config('sent.reason', 'retention', true)")
        assert await bodies(connection) == set()


async def test_the_reasons_in_sql_and_in_python_are_the_same(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as connection:
        rows = connection.execute("SELECT unnest(enum_range(NULL::sent.system_reason))::text").fetchall()
    assert {row[0] for row in rows} == {str(reason) for reason in SystemReason}


async def test_a_resolver_answers_and_sees_nothing_else(database: Database) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        await add_note(connection, ONE, "called number")
    async with database.resolver() as connection:
        cursor = await connection.execute("SELECT sent.find_note('called number')")
        assert await cursor.fetchone() == (ONE,)
    for statement in ("SELECT * FROM notes", "SELECT * FROM audit", "SELECT * FROM server_login"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.resolver() as connection:
                await connection.execute(statement)


async def test_a_resolver_is_for_the_resolver_door_only(database: Database) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(ONE, ACTOR) as connection:
            await connection.execute("SELECT sent.find_note('called number')")


async def test_the_owner_is_bound_by_the_policies_too(database: Database, owner_dsn: str) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        await add_note(connection, ONE, "not for the owner")
    with psycopg.connect(owner_dsn) as owner:
        assert owner.execute("SELECT count(*) FROM sent.notes").fetchone() == (0,)


@pytest.mark.parametrize(
    "statement",
    [
        "ALTER TABLE notes DISABLE ROW LEVEL SECURITY",
        "ALTER TABLE notes NO FORCE ROW LEVEL SECURITY",
        "ALTER TABLE notes DISABLE TRIGGER audit",
        "DROP POLICY organization ON notes",
        "CREATE POLICY mine ON notes USING (true)",
        "TRUNCATE notes",
        "DROP TABLE notes",
        "SET LOCAL session_replication_role = replica",
        "ALTER ROLE sent_app BYPASSRLS",
        "SET SESSION AUTHORIZATION sent",
        "SELECT sent.make_ephemeral_table('notes')",
        "SELECT sent.append_audit(NULL, 'a', 'b', 'c', '{}')",
        "SELECT * FROM server_login",
        "SELECT * FROM migrations",
        "CREATE TABLE sent.mine (id int)",
        "UPDATE audit SET actor = 'user:innocent'",
        "DELETE FROM audit",
        "TRUNCATE audit",
        "INSERT INTO audit (era, xid, at, actor, action, subject, row_id, delta, sha256) VALUES (1, '1', now(), '', '', '', '', '{}', '')",  # noqa: E501
        "DELETE FROM audit_default",
        "UPDATE audit_blocks SET row_count = 0",
        "DELETE FROM audit_blocks",
        "DROP TABLE audit_default",
    ],
)
async def test_no_door_lets_go_of_its_walls(database: Database, statement: str) -> None:
    for door in (database.transaction(ONE, ACTOR), database.system(SystemReason.RETENTION)):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with door as connection:
                await connection.execute(statement)


async def test_row_security_cannot_be_switched_off(database: Database) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        await add_note(connection, ONE, "guarded")

    async def look_without() -> None:
        async with database.transaction(OTHER, ACTOR) as connection:
            await connection.execute("SET LOCAL row_security = off")
            await bodies(connection)

    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        await look_without()


async def test_a_dead_connection_in_the_pool_is_replaced_unseen(database: Database, owner_dsn: str) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        pid = connection.info.backend_pid
    await asyncio.to_thread(terminate, owner_dsn, pid)
    async with database.transaction(ONE, ACTOR) as connection:
        assert connection.info.backend_pid != pid


async def test_a_connection_cut_inside_a_transaction_is_unavailable_in_words(
    database: Database, owner_dsn: str
) -> None:
    async def be_cut_off() -> None:
        async with database.transaction(ONE, ACTOR) as connection:
            await asyncio.to_thread(terminate, owner_dsn, connection.info.backend_pid)
            await bodies(connection)

    with pytest.raises(Unavailable, match="sent doctor") as caught:
        await be_cut_off()
    assert caught.value.code == "db.unavailable"
    await database.ping(POOL_WAIT_S)


def terminate(owner_dsn: str, pid: int) -> None:
    # The owner is not a superuser, but it made the login and so may act for it.
    with psycopg.connect(owner_dsn, autocommit=True) as owner:
        role = owner.execute("SELECT role_name FROM sent.server_login").fetchone()
        assert role is not None
        owner.execute(f'GRANT "{role[0]}" TO CURRENT_USER')
        assert owner.execute("SELECT pg_terminate_backend(%s, 2000)", (pid,)).fetchone() == (True,)


async def test_a_full_pool_says_so_within_the_time(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sent.infra.db.database.POOL_WAIT_S", 0.1)
    doors = [database.transaction(ONE, ACTOR) for _ in range(4)]
    for door in doors:
        await door.__aenter__()
    try:
        with pytest.raises(Unavailable):
            await database.ping(1.0)
    finally:
        for door in doors:
            await door.__aexit__(None, None, None)


async def test_a_cancelled_transaction_gives_its_connection_back_clean(database: Database) -> None:
    async def hang() -> None:
        async with database.transaction(ONE, ACTOR) as connection:
            await add_note(connection, ONE, "cancelled")
            await connection.execute("SELECT pg_sleep(30)")

    for _ in range(6):  # more than the pool has
        task = asyncio.create_task(hang())
        await asyncio.sleep(0.03)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
    async with database.transaction(ONE, ACTOR) as connection:
        assert "cancelled" not in await bodies(connection)


async def test_a_statement_that_takes_too_long_is_unavailable_in_words(database: Database) -> None:
    async def take_long() -> None:
        async with database.transaction(ONE, ACTOR) as connection:
            await connection.execute("SET LOCAL statement_timeout = '20ms'")
            await connection.execute("SELECT pg_sleep(5)")

    with pytest.raises(Unavailable, match="took too long") as caught:
        await take_long()
    assert caught.value.code == "db.too_slow"


def test_preparing_again_changes_nothing(owner_dsn: str) -> None:
    assert prepare(owner_dsn) == prepare(owner_dsn)
