"""The walls as somebody sees them who can run SQL inside a door, and the list of what may be called by whom."""

from __future__ import annotations

import psycopg
import pytest
from psycopg.types.json import Jsonb

from sent.infra.db import Actor, Connection, Database, SystemReason
from sent.infra.vault import MasterKeys, Vault
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database

ACTOR = Actor("user", "0190")
DOORS = ["sent_app", "sent_system"]

# Who may call what. Trigger functions, and what only the owner's functions and migrations call, are for nobody.
DEFINERS = {
    "sent.append_audit": [],
    "sent.audit_row": [],
    "sent.record_audit": DOORS,
    "sent.make_audit_partitions": ["sent_system"],
    "sent.find_device": ["sent_resolver"],
    "sent.vault_active_key": [*DOORS, "sent_resolver"],
    "sent.vault_key": [*DOORS, "sent_resolver"],
    "jobs.defer": DOORS,
}
FOR_THE_OWNER = {
    "sent.add_policies",
    "sent.audit_digest",
    "sent.continue_audit_era",
    "sent.door_is_open_for",
    "sent.make_ephemeral_table",
    "sent.make_resolver",
    "sent.make_tenant_table",
    "sent.notify_routing",
    "sent.require_organization_column",
    "sent.tell_device_changed",
    "sent.tell_user_changed",
    "sent.without_secrets",
}

FUNCTIONS_SQL = """
SELECT n.nspname || '.' || p.proname, pg_get_userbyid(p.proowner), p.prosecdef, p.proconfig::text[],
       (SELECT coalesce(array_agg(coalesce(r.rolname, 'PUBLIC')::text ORDER BY r.rolname), '{}')
        FROM aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a LEFT JOIN pg_roles r ON r.oid = a.grantee
        WHERE a.grantee <> p.proowner)
FROM pg_proc p JOIN pg_namespace n ON n.oid = p.pronamespace WHERE n.nspname IN ('sent', 'jobs') ORDER BY 1"""


def test_every_function_is_on_the_list_with_its_owner_path_and_callers(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as owner:
        functions = owner.execute(FUNCTIONS_SQL).fetchall()
    seen = set()
    for name, its_owner, definer, settings, callers in functions:
        seen.add(name)
        assert its_owner == "sent", name
        if name.startswith("jobs.procrastinate_"):  # with the worker's rights, and for the worker only
            assert (definer, callers) == (False, ["sent_system"]), name
            continue
        schema = name.partition(".")[0]
        assert f"search_path={schema}, pg_catalog, pg_temp" in (settings or []), name
        assert definer is (name in DEFINERS), name
        assert callers == sorted(DEFINERS.get(name, [])), name
    assert {name for name in seen if not name.startswith("jobs.procrastinate_")} == DEFINERS.keys() | FOR_THE_OWNER


def test_new_functions_are_for_nobody(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as owner:
        for schema in ("sent", "jobs"):
            owner.execute(f"CREATE FUNCTION {schema}.new_one() RETURNS int LANGUAGE sql AS 'SELECT 1'".encode())
            found = owner.execute(f"SELECT has_function_privilege('public', '{schema}.new_one()', 'EXECUTE')".encode())
            assert found.fetchone() == (False,)
        owner.rollback()


def test_a_reference_between_tables_of_organizations_names_the_organization(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as owner:
        references = owner.execute(
            "SELECT c.conrelid::regclass::text, pg_get_constraintdef(c.oid) FROM pg_constraint c"
            " WHERE c.contype = 'f' AND c.connamespace = 'sent'::regnamespace AND EXISTS ("
            "   SELECT FROM pg_attribute a WHERE a.attrelid = c.confrelid AND a.attname = 'organization_id')"
        ).fetchall()
    assert len(references) >= 5
    for table, definition in references:
        assert definition.count("organization_id") == 2, f"{table}: {definition}"


def test_a_column_that_sounds_like_a_secret_is_named_so_that_the_audit_leaves_it_out(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as owner:
        columns = owner.execute(
            "SELECT c.relname || '.' || a.attname FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid"
            " JOIN pg_trigger t ON t.tgrelid = c.oid AND t.tgname = 'audit'"
            " WHERE a.attnum > 0 AND a.attname ~ '(secret|password|token|credential|key|hash|nonce|pin)(_|$)'"
            " AND a.attname !~ '^(sealed|secret)_' ORDER BY 1"
        ).fetchall()
    assert [column for (column,) in columns] == ["recordings.store_key"]  # where the file lies in the store


async def test_keys_are_told_to_a_door_of_their_organization_only(database: Database) -> None:
    ours, theirs = uuid7(), uuid7()
    vault = Vault(MasterKeys((b"m" * 32,), "test"))
    for organization in (ours, theirs):
        async with database.transaction(organization, ACTOR) as connection:
            await vault.seal(connection, organization, "c", b"x")

    async def told(connection: Connection) -> list[int]:
        counts = []
        for organization in (ours, theirs):
            cursor = await connection.execute("SELECT FROM sent.vault_active_key(%s)", (organization,))
            counts.append(cursor.rowcount)
        return counts

    async with database.transaction(ours, ACTOR) as connection:
        assert await told(connection) == [1, 0]
        await connection.execute("SELECT set_config('sent.reason', 'retention', true)")
        assert await told(connection) == [1, 0]
        await connection.execute("SELECT set_config('sent.organization', '', true)")
        assert await told(connection) == [0, 0]
    async with database.resolver() as connection:
        assert await told(connection) == [1, 1]
    async with database.system(SystemReason.ROTATE_KEYS) as connection:
        assert await told(connection) == [1, 1]
        await connection.execute("SELECT set_config('sent.reason', '', true)")
        assert await told(connection) == [0, 0]


async def test_a_job_is_not_put_in_without_an_organization(database: Database) -> None:
    ours, theirs = uuid7(), uuid7()
    defer = "SELECT jobs.defer('a.b', %s, NULL, NULL)"
    async with database.transaction(ours, ACTOR) as connection:
        await connection.execute(defer, (Jsonb({"organization_id": str(ours)}),))
    for organization in (str(ours), ""):

        async def put_in(organization: str = organization) -> None:
            async with database.transaction(ours, ACTOR) as connection:
                await connection.execute("SELECT set_config('sent.organization', %s, true)", (organization,))
                await connection.execute(defer, (Jsonb({"organization_id": str(theirs)}),))

        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            await put_in()


async def test_a_table_of_the_session_stands_in_for_none_of_ours(database: Database) -> None:
    ours, theirs = uuid7(), uuid7()
    async with database.transaction(ours, ACTOR) as connection:
        pid = connection.info.backend_pid
        await connection.execute("CREATE TEMP TABLE users AS SELECT 'stolen'::text AS name")
        await connection.execute("GRANT ALL ON pg_temp.users TO sent_app, sent_system")
        await connection.execute("SELECT set_config('search_path', 'pg_temp, sent', false)")
    for _ in range(8):
        async with database.transaction(theirs, ACTOR) as connection:
            row = await (await connection.execute("SELECT 'users'::regclass::oid = 'sent.users'::regclass")).fetchone()
            assert row == (True,)
            if connection.info.backend_pid == pid:
                return
    pytest.fail("the connection did not come round again")


async def test_a_number_cannot_hang_on_another_organizations_carrier(database: Database) -> None:
    ours, theirs, trunk = uuid7(), uuid7(), uuid7()
    async with database.transaction(theirs, ACTOR) as connection:
        await connection.execute(
            "INSERT INTO trunks (id, organization_id, name, mode, domain, transport, country, caller_id_header,"
            " sources, srtp, priority, outside_prefix, concurrent_calls, calls_per_minute, calls_per_day, countries,"
            " premium, enabled) VALUES (%s, %s, 't', 'address', 'd', 'UDP', 'DE', 'from', '{192.0.2.1}', 'off', 1, '',"
            " 1, 1, 1, '{}', false, true)",
            (trunk, theirs),
        )
    for statement in (
        "INSERT INTO trunk_numbers VALUES (gen_random_uuid(), %(ours)s, %(trunk)s, '+4930123456', '101')",
        "INSERT INTO trunk_status VALUES (%(trunk)s, %(ours)s, 'up', '', NULL, NULL, '', 0, now())",
    ):
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            async with database.transaction(ours, ACTOR) as connection:
                await connection.execute(statement.encode(), {"ours": ours, "trunk": trunk})


async def test_the_audit_of_another_organization_cannot_be_written_or_read(database: Database) -> None:
    ours, theirs = uuid7(), uuid7()
    async with database.transaction(ours, ACTOR) as connection:
        await connection.execute("SELECT sent.record_audit('look', 'calls', %s, '{}')", (str(theirs),))
        await connection.execute("SELECT set_config('sent.actor', 'user:somebody-else', true)")
    async with database.transaction(theirs, ACTOR) as connection:
        assert (await connection.execute("SELECT FROM audit")).rowcount == 0
    for partition in ("audit_default", "audit_blocks", "audit_eras"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction(ours, ACTOR) as connection:
                await connection.execute(f"SELECT FROM sent.{partition}".encode())
