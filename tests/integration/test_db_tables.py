"""Each table is in exactly one class, and has what its class promises: asked of the catalogue, for every module."""

from __future__ import annotations

import importlib
from collections import Counter
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

import sent
from sent.infra.db import Actor, Database
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database

ROOT = Path(sent.__file__).parent
MODULES = [importlib.import_module(f"sent.{path.parent.name}.tables") for path in sorted(ROOT.glob("*/tables.py"))]
TENANT = sorted(name for module in MODULES for name in module.TENANT)
EPHEMERAL = sorted(name for module in MODULES for name in module.EPHEMERAL)
PLATFORM = {name: reason for module in MODULES for name, reason in module.PLATFORM.items()}
OF_ORGANIZATIONS = TENANT + EPHEMERAL

ACTOR = Actor("system", "test")
ONE, OTHER = uuid7(), uuid7()
APP_WALL = "(organization_id = (NULLIF(current_setting('sent.organization'::text, true), ''::text))::uuid)"
SYSTEM_WALL = "((NULLIF(current_setting('sent.reason'::text, true), ''::text))::sent.system_reason IS NOT NULL)"

# A value for each type that a primary key may have; whatever else a table demands is lifted for the test.
SAMPLES = {
    "uuid": "gen_random_uuid()",
    "text": "'x'",
    "smallint": "1",
    "integer": "1",
    "bigint": "1",
    "timestamp with time zone": "now()",
    "date": "now()",
    "boolean": "true",
    "inet": "'192.0.2.1'",
}


def rows(owner_dsn: str, query: str) -> list[tuple[object, ...]]:
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("SET search_path = pg_catalog")
        return connection.execute(query.encode()).fetchall()


def test_every_table_is_in_exactly_one_class(owner_dsn: str) -> None:
    there = rows(
        owner_dsn,
        "SELECT relname FROM pg_class WHERE relnamespace = 'sent'::regnamespace"
        " AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT relispartition",
    )
    listed = Counter([*TENANT, *EPHEMERAL, *(name for module in MODULES for name in module.PLATFORM)])
    assert [name for name, times in listed.items() if times > 1] == []
    assert set(listed) == {row[0] for row in there}


def test_every_platform_table_says_why() -> None:
    assert [name for name, reason in PLATFORM.items() if len(reason.split()) < 3] == []


def test_row_security_is_forced_on_tables_of_organizations(owner_dsn: str) -> None:
    forced = rows(
        owner_dsn,
        "SELECT relname FROM pg_class WHERE relnamespace = 'sent'::regnamespace"
        " AND relrowsecurity AND relforcerowsecurity",
    )
    assert set(OF_ORGANIZATIONS) - {row[0] for row in forced} == set()


@pytest.mark.parametrize("table", OF_ORGANIZATIONS)
def test_the_policies_are_the_three_and_no_other(owner_dsn: str, table: str) -> None:
    policies = rows(
        owner_dsn,
        "SELECT policyname, roles::text[], permissive, cmd, qual, with_check FROM pg_policies"
        f" WHERE schemaname = 'sent' AND tablename = '{table}' ORDER BY policyname",
    )
    assert [policy[0] for policy in policies] == ["organization", "owner", "system"]
    assert policies[0] == ("organization", ["sent_app"], "PERMISSIVE", "ALL", APP_WALL, APP_WALL)
    assert policies[2] == ("system", ["sent_system"], "PERMISSIVE", "ALL", SYSTEM_WALL, SYSTEM_WALL)
    assert policies[1][1] == ["sent"]


def test_no_policy_anywhere_is_for_everybody(owner_dsn: str) -> None:
    found = rows(owner_dsn, "SELECT tablename FROM pg_policies WHERE roles && '{public,sent_resolver}'")
    assert found == []


def test_tenant_tables_and_only_they_have_the_audit_trigger(owner_dsn: str) -> None:
    # tgtype: row level, after, insert + delete + update; tgenabled A: also for a replica role.
    triggers = rows(
        owner_dsn,
        "SELECT c.relname FROM pg_trigger t JOIN pg_class c ON c.oid = t.tgrelid"
        " WHERE t.tgname = 'audit' AND t.tgfoid = 'sent.audit_row'::regproc AND t.tgtype = 1 + 4 + 8 + 16"
        " AND t.tgenabled = 'A' AND NOT c.relispartition",
    )
    assert sorted(str(row[0]) for row in triggers) == TENANT


def test_nobody_may_truncate_or_refer_to_or_hang_triggers_on_a_table(owner_dsn: str) -> None:
    grants = rows(
        owner_dsn,
        "SELECT table_name, grantee, privilege_type FROM information_schema.role_table_grants"
        " WHERE table_schema = 'sent' AND grantee <> 'sent'"
        " AND privilege_type NOT IN ('SELECT', 'INSERT', 'UPDATE', 'DELETE')",
    )
    assert grants == []


def test_no_table_is_open_to_the_resolver_or_to_everybody(owner_dsn: str) -> None:
    grants = rows(
        owner_dsn,
        "SELECT table_name FROM information_schema.role_table_grants"
        " WHERE table_schema = 'sent' AND grantee NOT IN ('sent', 'sent_app', 'sent_system')",
    )
    assert grants == []


def test_every_definer_function_has_a_fixed_search_path_and_is_not_for_everybody(owner_dsn: str) -> None:
    functions = rows(
        owner_dsn,
        "SELECT p.oid::regprocedure::text, proconfig::text, has_function_privilege('public', p.oid, 'EXECUTE')"
        " FROM pg_proc p WHERE pronamespace = 'sent'::regnamespace AND prosecdef",
    )
    assert len(functions) >= 4
    for name, settings, for_everybody in functions:
        assert "search_path=sent, pg_catalog, pg_temp" in str(settings), name
        assert not for_everybody, name


def test_the_restricted_roles_can_bypass_nothing(owner_dsn: str) -> None:
    roles = rows(
        owner_dsn,
        "SELECT rolname FROM pg_roles WHERE rolname LIKE 'sent\\_%'"
        " AND (rolsuper OR rolbypassrls OR rolcreaterole OR rolcreatedb OR rolreplication OR rolinherit)",
    )
    assert roles == []


@pytest.fixture(scope="module")
def _one_row_each(postgres_server: object, owner_dsn: str) -> None:
    """One row of organization ONE in every table, whatever the table demands: its constraints are lifted first."""
    with psycopg.connect(owner_dsn) as connection:
        connection.execute("SELECT set_config('sent.reason', 'migrate', false)")
        for table in OF_ORGANIZATIONS:
            _lift_constraints(connection, table)
        for table in OF_ORGANIZATIONS:
            _insert(connection, table)


def _lift_constraints(connection: psycopg.Connection, table: str) -> None:
    name = sql.Identifier("sent", table)
    constraints = connection.execute(
        "SELECT conname FROM pg_constraint WHERE conrelid = format('sent.%%I', %s::text)::regclass"
        " AND contype IN ('c', 'f', 'x')",
        (table,),
    ).fetchall()
    for (constraint,) in constraints:
        connection.execute(sql.SQL("ALTER TABLE {} DROP CONSTRAINT {}").format(name, sql.Identifier(constraint)))
    for column, _ in _columns(connection, table, in_key=False):
        if column != "organization_id":
            connection.execute(sql.SQL("ALTER TABLE {} ALTER {} DROP NOT NULL").format(name, sql.Identifier(column)))
    triggers = connection.execute(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = format('sent.%%I', %s::text)::regclass"
        " AND NOT tgisinternal AND tgname <> 'audit'",
        (table,),
    ).fetchall()
    for (trigger,) in triggers:
        connection.execute(sql.SQL("ALTER TABLE {} DISABLE TRIGGER {}").format(name, sql.Identifier(trigger)))


def _columns(connection: psycopg.Connection, table: str, *, in_key: bool) -> list[tuple[str, str]]:
    return connection.execute(
        "SELECT a.attname, format_type(a.atttypid, NULL) FROM pg_attribute a"
        " LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary"
        " WHERE a.attrelid = format('sent.%%I', %s::text)::regclass AND a.attnum > 0 AND NOT a.attisdropped"
        " AND a.attidentity = '' AND a.attgenerated = '' AND coalesce(a.attnum = ANY(i.indkey), false) = %s",
        (table, in_key),
    ).fetchall()


def _insert(connection: psycopg.Connection, table: str) -> None:
    values = {"organization_id": f"'{ONE}'"}
    for column, kind in _columns(connection, table, in_key=True):
        values.setdefault(column, SAMPLES[kind])
    connection.execute(f"INSERT INTO sent.{table} ({', '.join(values)}) VALUES ({', '.join(values.values())})".encode())


@pytest.mark.parametrize("table", OF_ORGANIZATIONS)
@pytest.mark.usefixtures("_one_row_each")
async def test_its_own_rows_are_there(database: Database, table: str) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        assert await count(connection, table) == 1


@pytest.mark.parametrize("table", OF_ORGANIZATIONS)
@pytest.mark.usefixtures("_one_row_each")
async def test_another_organization_s_rows_are_not_there_to_read_change_or_delete(
    database: Database, table: str
) -> None:
    name = sql.Identifier("sent", table)
    for statement in (
        sql.SQL("SELECT FROM {}").format(name),
        sql.SQL("UPDATE {} SET organization_id = {}").format(name, OTHER),
        sql.SQL("DELETE FROM {}").format(name),
    ):
        touched = 0
        try:
            async with database.transaction(OTHER, ACTOR) as connection:
                touched = (await connection.execute(statement)).rowcount
        except psycopg.errors.InsufficientPrivilege:
            pass  # not even granted to the application: as good
        assert touched == 0


@pytest.mark.parametrize("table", OF_ORGANIZATIONS)
@pytest.mark.usefixtures("_one_row_each")
async def test_nothing_is_written_for_another_organization(database: Database, table: str) -> None:
    for statement in (
        sql.SQL("INSERT INTO {} (organization_id) VALUES ({})").format(sql.Identifier("sent", table), OTHER),
        sql.SQL("UPDATE {} SET organization_id = {}").format(sql.Identifier("sent", table), OTHER),
    ):
        with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.NotNullViolation)) as refused:
            async with database.transaction(ONE, ACTOR) as connection:
                await connection.execute(statement)
        # A missing key column is told before the policy is asked; the moved row has all of its columns.
        if statement.as_string().startswith("UPDATE"):
            assert refused.type is psycopg.errors.InsufficientPrivilege


@pytest.mark.parametrize("table", OF_ORGANIZATIONS)
@pytest.mark.usefixtures("_one_row_each")
async def test_without_an_organization_there_is_nothing(database: Database, table: str) -> None:
    async with database.transaction(ONE, ACTOR) as connection:
        await connection.execute("SELECT set_config('sent.organization', '', true)")
        assert await count(connection, table) == 0


@pytest.mark.parametrize("table", [*OF_ORGANIZATIONS, *PLATFORM])
async def test_the_resolver_door_sees_no_table(database: Database, table: str) -> None:
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.resolver() as connection:
            await count(connection, table)


async def count(connection: psycopg.AsyncConnection, table: str) -> int:
    cursor = await connection.execute(sql.SQL("SELECT count(*) FROM {}").format(sql.Identifier("sent", table)))
    row = await cursor.fetchone()
    assert row is not None
    return int(row[0])
