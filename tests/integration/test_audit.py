"""The audit log: what the trigger writes, sealing in transaction order, and tampering that is found and named."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Iterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID

import psycopg
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from sent.infra.audit import record
from sent.infra.audit.seal import SealResult, seal
from sent.infra.audit.verify import verify
from sent.infra.db import Actor, Connection, Database, SystemReason
from sent.infra.db.database import prepare
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database

ACTOR = Actor("user", "0190")
KEY = Ed25519PrivateKey.generate()
PUBLIC = KEY.public_key()

TABLE = """
CREATE TABLE sent.notes (
  id uuid PRIMARY KEY, organization_id uuid NOT NULL, body text, sealed_pin bytea, secret_word text);
SELECT sent.make_tenant_table('notes');
CREATE TABLE sent.pairs (organization_id uuid NOT NULL, name text, n int, PRIMARY KEY (name, n));
SELECT sent.make_tenant_table('pairs');
"""


@pytest.fixture(scope="module", autouse=True)
def _tables(owner_dsn: str) -> None:
    with psycopg.connect(owner_dsn) as connection:
        connection.execute(TABLE)


@pytest.fixture
def owner(owner_dsn: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        yield connection


@pytest.fixture
def fresh(database: Database, owner: psycopg.Connection) -> Database:
    """As if nothing had been audited before: only the owner can do this."""
    owner.execute("TRUNCATE sent.audit, sent.audit_blocks")
    return database


async def add_note(connection: Connection, organization: UUID, body: str = "hello") -> UUID:
    note_id = uuid7()
    await connection.execute(
        "INSERT INTO notes VALUES (%s, %s, %s, '\\x0123', 'swordfish')", (note_id, organization, body)
    )
    return note_id


async def entries(database: Database, organization: UUID) -> list[tuple[object, ...]]:
    async with database.transaction(organization, ACTOR) as connection:
        cursor = await connection.execute("SELECT actor, action, subject, row_id, delta FROM audit ORDER BY xid, seq")
        return await cursor.fetchall()


async def write(database: Database, count: int) -> None:
    for n in range(count):
        async with database.transaction(uuid7(), ACTOR) as connection:
            await add_note(connection, await organization_of(connection), f"note {n}")


async def organization_of(connection: Connection) -> UUID:
    row = await (await connection.execute("SELECT current_setting('sent.organization')::uuid")).fetchone()
    assert row is not None
    return UUID(str(row[0]))


async def test_every_write_is_told_without_its_secrets(database: Database) -> None:
    organization = uuid7()
    async with database.transaction(organization, ACTOR) as connection:
        note = await add_note(connection, organization)
        await connection.execute("UPDATE notes SET body = 'bye', sealed_pin = '\\x99' WHERE id = %s", (note,))
        await connection.execute("UPDATE notes SET secret_word = NULL WHERE id = %s", (note,))
        await connection.execute("DELETE FROM notes WHERE id = %s", (note,))
    told = await entries(database, organization)
    assert [(entry[0], entry[1], entry[2], entry[3]) for entry in told] == [
        ("user:0190", action, "notes", str(note)) for action in ("insert", "update", "update", "delete")
    ]
    row = {"id": str(note), "organization_id": str(organization)}
    assert [entry[4] for entry in told] == [
        {**row, "body": "hello", "sealed_pin": "changed", "secret_word": "changed"},
        {"body": ["hello", "bye"], "sealed_pin": "changed"},
        {"secret_word": "changed"},
        {**row, "body": "bye", "sealed_pin": "changed", "secret_word": None},
    ]


async def test_a_key_of_several_columns_names_the_row(database: Database) -> None:
    organization = uuid7()
    async with database.transaction(organization, ACTOR) as connection:
        await connection.execute("INSERT INTO pairs VALUES (%s, 'a', 7)", (organization,))
    assert (await entries(database, organization))[0][3] == "a,7"


async def test_system_writes_name_their_reason(database: Database) -> None:
    organization = uuid7()
    async with database.system(SystemReason.RETENTION) as connection:
        await add_note(connection, organization)
    assert (await entries(database, organization))[0][0] == "system:retention"


async def test_reads_are_recorded_as_the_door_s_actor(database: Database) -> None:
    organization = uuid7()
    async with database.transaction(organization, ACTOR) as connection:
        await record(connection, "recording.listen", "recordings/42", {"seconds": 3})
    assert await entries(database, organization) == [
        ("user:0190", "recording.listen", "recordings", "42", {"seconds": 3})
    ]


async def test_nobody_can_record_what_only_triggers_write(database: Database) -> None:
    with pytest.raises(psycopg.errors.RaiseException, match="triggers only"):
        async with database.transaction(uuid7(), ACTOR) as connection:
            await record(connection, "delete", "notes/1", {})


async def test_an_organization_reads_its_own_log_only(database: Database) -> None:
    await write(database, 1)
    assert await entries(database, uuid7()) == []


async def test_what_is_rolled_back_is_not_told(database: Database) -> None:
    organization = uuid7()

    async def fail() -> None:
        async with database.transaction(organization, ACTOR) as connection:
            await add_note(connection, organization)
            raise KeyError

    with pytest.raises(KeyError):
        await fail()
    assert await entries(database, organization) == []


async def test_sealed_and_proved(fresh: Database) -> None:
    await write(fresh, 5)
    assert await seal(fresh, KEY) == SealResult(1, 5)
    assert await seal(fresh, KEY) == SealResult(0, 0)
    await write(fresh, 3)
    assert await seal(fresh, KEY) == SealResult(1, 3)
    await write(fresh, 2)
    report = await verify(fresh, PUBLIC)
    assert (report.ok, report.blocks, report.rows, report.unsealed_rows) == (True, 2, 8, 2)


async def test_a_late_commit_is_sealed_later_and_never_lost(fresh: Database) -> None:
    async with AsyncExitStack() as late:
        connection = await late.enter_async_context(fresh.transaction(uuid7(), ACTOR))
        await add_note(connection, await organization_of(connection), "late")
        await write(fresh, 3)  # begun later, committed earlier
        assert await seal(fresh, KEY) == SealResult(0, 0)
    assert await seal(fresh, KEY) == SealResult(1, 4)
    report = await verify(fresh, PUBLIC)
    assert (report.problem, report.rows, report.unsealed_rows) == (None, 4, 0)


async def test_two_that_seal_at_once_make_one_chain(fresh: Database) -> None:
    await write(fresh, 4)
    results = await asyncio.gather(seal(fresh, KEY), seal(fresh, KEY))
    assert sorted(result.rows for result in results) == [0, 4]
    assert (await verify(fresh, PUBLIC)).ok


TAMPERING = {
    "UPDATE sent.audit SET actor = 'user:innocent' WHERE seq = %(second)s": "entry number .* was changed",
    "UPDATE sent.audit SET delta = '{}' WHERE seq = %(second)s": "entry number .* was changed",
    "UPDATE sent.audit SET at = at + interval '1 us' WHERE seq = %(second)s": "entry number .* was changed",
    "DELETE FROM sent.audit WHERE seq = %(second)s": "sealed over 3 rows and has 2 now: 1 were removed",
    "INSERT INTO sent.audit (era, xid, at, actor, action, subject, row_id, delta, sha256)"
    " SELECT era, xid, at, actor, action, subject, row_id, delta,"
    " sent.audit_digest(era::text, xid::text, at::text, NULL, actor, action, subject, row_id, delta::text)"
    " FROM sent.audit WHERE seq = %(second)s": "sealed over 3 rows and has 4 now: 1 were added",
    "UPDATE sent.audit SET actor = 'user:x', sha256 = sent.audit_digest(era::text, xid::text, at::text,"
    " organization_id::text, 'user:x', action, subject, row_id, delta::text) WHERE seq = %(second)s": "other rows",
    "UPDATE sent.audit_blocks SET row_count = 2 WHERE number = 1": "block 1 .* seal was changed",
    "UPDATE sent.audit_blocks SET sealed_at = '2020-01-01' WHERE number = 1": "block 1 .* seal was changed",
    "DELETE FROM sent.audit_blocks WHERE number = 1": "block 1 is missing",
    "UPDATE sent.audit_blocks SET key_id = 'other' WHERE number = 1": "sealed with another key",
}


@pytest.mark.parametrize(("statement", "found"), TAMPERING.items())
async def test_tampering_by_the_owner_is_found_and_named(
    fresh: Database, owner: psycopg.Connection, statement: str, found: str
) -> None:
    for _ in range(2):
        await write(fresh, 3)
        await seal(fresh, KEY)
    row = owner.execute("SELECT seq FROM sent.audit ORDER BY xid, seq OFFSET 1 LIMIT 1").fetchone()
    assert row is not None
    owner.execute("SET timezone = 'UTC'")
    assert owner.execute(statement, {"second": row[0]}).rowcount == 1  # type: ignore[call-overload]
    report = await verify(fresh, PUBLIC)
    assert not report.ok
    assert report.blocks == 0
    assert report.problem is not None
    assert re.search(found, report.problem), report.problem


async def test_another_key_proves_nothing(fresh: Database) -> None:
    await write(fresh, 1)
    await seal(fresh, KEY)
    report = await verify(fresh, Ed25519PrivateKey.generate().public_key())
    assert report.problem is not None
    assert "another key" in report.problem


async def test_a_block_forged_with_the_right_key_but_out_of_the_chain_is_found(
    fresh: Database, owner: psycopg.Connection
) -> None:
    await write(fresh, 1)
    await seal(fresh, KEY)
    await write(fresh, 1)
    await seal(fresh, KEY)
    # The first block replaced by one over fewer rows, signed again: the second still points at the old one.
    owner.execute("CREATE TEMP TABLE second AS SELECT * FROM sent.audit_blocks WHERE number = 2")
    owner.execute("TRUNCATE sent.audit_blocks")
    await seal(fresh, KEY)
    owner.execute("DELETE FROM sent.audit_blocks WHERE number > 1")
    owner.execute("INSERT INTO sent.audit_blocks SELECT * FROM second")
    report = await verify(fresh, PUBLIC)
    assert report.problem is not None
    assert "does not follow the block before" in report.problem


async def test_two_rows_that_changed_places_are_found(fresh: Database, owner: psycopg.Connection) -> None:
    async with fresh.transaction(uuid7(), ACTOR) as connection:
        for body in ("first", "second"):
            await add_note(connection, await organization_of(connection), body)
    await write(fresh, 1)
    await seal(fresh, KEY)
    (one, other, third) = [row[0] for row in owner.execute("SELECT seq FROM sent.audit ORDER BY xid, seq").fetchall()]
    owner.execute("ALTER TABLE sent.audit ALTER seq SET GENERATED BY DEFAULT")
    for mine, theirs in ((one, other), (one, third)):  # of one transaction, and of two
        owner.execute("CREATE TEMP TABLE taken AS SELECT * FROM sent.audit")
        owner.execute("DELETE FROM sent.audit")
        owner.execute(
            "INSERT INTO sent.audit SELECT t.era, o.xid, o.seq, t.at, t.organization_id, t.actor, t.action, t.subject,"
            " t.row_id, t.delta, t.sha256 FROM taken t JOIN taken o ON o.seq ="
            " CASE t.seq WHEN %s THEN %s WHEN %s THEN %s ELSE t.seq END",
            (mine, theirs, theirs, mine),
        )
        report = await verify(fresh, PUBLIC)
        assert not report.ok
        assert re.search("other rows than were sealed|was changed", str(report.problem)), report.problem
        owner.execute("DELETE FROM sent.audit")
        owner.execute("INSERT INTO sent.audit SELECT * FROM taken")
        owner.execute("DROP TABLE taken")
        assert (await verify(fresh, PUBLIC)).ok
    owner.execute("ALTER TABLE sent.audit ALTER seq SET GENERATED ALWAYS")


async def test_a_forged_signature_is_found(fresh: Database, owner: psycopg.Connection) -> None:
    await write(fresh, 1)
    await seal(fresh, KEY)
    for forged in (bytes(64), Ed25519PrivateKey.generate().sign(b"x"), b"short"):
        owner.execute("UPDATE sent.audit_blocks SET signature = %s", (forged,))
        assert "seal was changed" in str((await verify(fresh, PUBLIC)).problem)


async def test_newest_seals_that_were_cut_off_are_warned_of(fresh: Database, owner: psycopg.Connection) -> None:
    for _ in range(2):
        await write(fresh, 2)
        await seal(fresh, KEY)
    soon, later = datetime.now(UTC) + timedelta(minutes=10), datetime.now(UTC) + timedelta(hours=30)
    assert (await verify(fresh, PUBLIC, soon)).warnings == ()
    owner.execute("DELETE FROM sent.audit_blocks WHERE number = 2")
    report = await verify(fresh, PUBLIC, later)
    assert report.ok, "it cannot be proved"
    assert len(report.warnings) == 2
    assert "Of the 2 entries that are not sealed" in report.warnings[0]
    owner.execute("DELETE FROM sent.audit WHERE xid >= (SELECT max(to_xid) FROM sent.audit_blocks)")
    report = await verify(fresh, PUBLIC, later)
    assert (report.ok, report.blocks) == (True, 1)
    assert [warning[:22] for warning in report.warnings] == ["The newest seal is of "]


async def test_sealing_while_others_write_loses_no_row_and_seals_none_twice(fresh: Database) -> None:
    async def seal_on() -> int:
        return sum([(await seal(fresh, KEY)).rows for _ in range(6)])

    first, second, *_ = await asyncio.gather(seal_on(), seal_on(), write(fresh, 20), write(fresh, 20))
    rest = (await seal(fresh, KEY)).rows
    report = await verify(fresh, PUBLIC)
    assert (report.problem, report.rows, report.unsealed_rows) == (None, 40, 0)
    assert first + second + rest == 40


PUT_IN = (
    "INSERT INTO sent.audit (era, xid, at, actor, action, subject, row_id, delta, sha256)"
    " VALUES (1, '1', %s, '', '', '', '', '{}', '') RETURNING tableoid::regclass::text"
)


async def test_the_months_follow_each_other_without_a_gap(fresh: Database, owner: psycopg.Connection) -> None:
    owner.execute("SET timezone = 'UTC'")
    owner.execute("SELECT sent.make_audit_partitions(14)")
    starts = owner.execute(
        "SELECT generate_series(date_trunc('month', now()), date_trunc('month', now()) + interval '14 months',"
        " interval '1 month')"
    ).fetchall()
    for number, (start,) in enumerate(starts):
        before = start - timedelta(microseconds=1)
        for at, month in (
            (start, f"audit_{start:%Y_%m}"),
            (start + timedelta(days=27), f"audit_{start:%Y_%m}"),
            (before, f"audit_{before:%Y_%m}" if number else "audit_default"),
        ):
            assert owner.execute(PUT_IN, (at,)).fetchone() == (month,)


async def test_a_restored_dump_begins_a_new_era(fresh: Database, owner: psycopg.Connection, owner_dsn: str) -> None:
    await write(fresh, 2)
    await seal(fresh, KEY)
    # What a dump restored into a new cluster looks like: the log's transaction numbers lie in the future.
    owner.execute("TRUNCATE sent.audit, sent.audit_blocks")
    owner.execute("UPDATE sent.audit_eras SET first_xid = '5000000000'")
    owner.execute(
        "INSERT INTO sent.audit (era, xid, at, actor, action, subject, row_id, delta, sha256)"
        " SELECT 1, '5000000007', '2026-01-01Z', 'a', 'b', 'c', 'd', '{}',"
        " sent.audit_digest('1', '5000000007', '2026-01-01 00:00:00+00', NULL, 'a', 'b', 'c', 'd', '{}')"
    )
    await asyncio.to_thread(prepare, owner_dsn)
    await write(fresh, 3)
    assert await seal(fresh, KEY) == SealResult(2, 4)
    report = await verify(fresh, PUBLIC)
    assert (report.problem, report.blocks, report.rows) == (None, 2, 4)


async def test_an_entry_lies_in_the_partition_of_its_month(fresh: Database, owner: psycopg.Connection) -> None:
    await write(fresh, 1)
    row = owner.execute(
        "SELECT c.relname, to_char(a.at, 'YYYY_MM') FROM sent.audit a JOIN pg_class c ON c.oid = a.tableoid"
    ).fetchone()
    assert row is not None
    assert row[0] == f"audit_{row[1]}"


async def test_a_month_without_its_partition_is_written_all_the_same(
    fresh: Database, owner: psycopg.Connection
) -> None:
    """A server whose sealing job did not run for months: the default partition takes it, and nothing is lost."""
    row = owner.execute("SELECT to_char(now() AT TIME ZONE 'UTC', 'YYYY_MM')").fetchone()
    assert row is not None
    owner.execute(f"DROP TABLE sent.audit_{row[0]}".encode())
    await write(fresh, 2)
    assert owner.execute("SELECT count(*) FROM sent.audit_default").fetchone() == (2,)
    assert await seal(fresh, KEY) == SealResult(1, 2)  # makes the months again, but for this one
    await write(fresh, 1)
    assert await seal(fresh, KEY) == SealResult(1, 1)
    assert (await verify(fresh, PUBLIC)).ok
