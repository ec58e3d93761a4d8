"""Call records in a real database: what is written, in which order it may come, leases, replay, retention, queries."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import psycopg
import pytest
from tests.unit.calls.records_made import ALICE, AT, NODE, answered, ended, opened

from sent.calls.ending import EndCode
from sent.calls.history import CallHistory, Filter
from sent.calls.leases import LAPSED_WORDS, OWN_WORDS, NodeLease
from sent.calls.models import Disposition
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.record_store import DatabaseStore
from sent.calls.records import RecordWriter
from sent.calls.retention import delete_old_records
from sent.calls.show import show
from sent.calls.spill import Spill
from sent.infra.db import Actor
from sent.kit.errors import BadInput, NotFound
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database
CLI = Actor("cli", "root")


@pytest.fixture
def organization():
    return uuid7()


@pytest.fixture
def store(database):
    return DatabaseStore(database, NODE)


@pytest.fixture
def history(database):
    return CallHistory(database)


async def test_a_record_comes_back_as_it_was_written(store, history, organization):
    first = opened(organization)
    await store.write(organization, [first])
    detail = await history.get(organization, CLI, first.id)
    assert (detail.call.state, detail.call.ended_at, detail.ladder) == ("new", None, None)
    last = ended(answered(first))
    await store.write(organization, [last])
    detail = await history.get(organization, CLI, first.id)
    call = detail.call
    assert (call.state, call.direction, call.dialed, call.disposition) == ("ended", "internal", "102", "answered")
    assert (call.caller_name, call.caller_number, call.callee_name) == ("Alice", "101", "Bob")
    assert (call.started_at, call.answered_at, call.ended_at) == (last.started_at, last.answered_at, last.ended_at)
    assert (call.end_code, call.end_words, call.end_by, call.end_status) == ("hung_up", "Bob hung up.", "callee", 200)
    assert (call.end_reason, call.end_warning) == ("Q.850;cause=16", '399 x "w"')
    assert (call.recording_id, call.flags, call.digits, call.ignored_events) == (last.recording_id, ["A flag."], 2, 3)
    assert [s["state"] for s in call.states] == ["new", "connected", "ended"]
    assert (call.codec, call.mos) == ("PCMA", 4.36)
    caller, callee = detail.legs
    assert (caller.role, callee.role, callee.codec, callee.extra) == ("caller", "callee", "PCMA", {"srtp": "none"})
    assert callee.quality["loss_received_percent"] == 0.6
    assert callee.quality["round_trip_ms"] == 41.0
    assert callee.quality["remote"] == "192.0.2.20:4000"
    assert callee.user_agent == "Phone/1.0"
    assert detail.ladder == last.ladder


async def test_an_older_version_that_comes_late_changes_nothing_and_repeats_are_harmless(
    store, history, organization, owner_dsn
):
    first = opened(organization)
    second, last = answered(first), ended(answered(first))
    last = replace(last, legs=tuple(replace(leg, id=old.id) for leg, old in zip(last.legs, second.legs, strict=True)))
    for record in (second, last, first, second, last):
        await store.write(organization, [record])
    detail = await history.get(organization, CLI, first.id)
    assert detail.call.end_code == "hung_up"
    assert [leg.state for leg in detail.legs] == ["ended", "ended"]
    with psycopg.connect(owner_dsn) as connection:
        audit = connection.execute(
            "SELECT action, delta FROM sent.audit WHERE subject = 'calls' AND row_id = %s ORDER BY seq", [str(first.id)]
        ).fetchall()
    assert [action for action, _ in audit] == ["insert", "update"], "nothing is audited where nothing changed"


async def test_a_ladder_is_not_copied_into_the_audit_log(store, organization, owner_dsn):
    record = ended(answered(opened(organization)))
    await store.write(organization, [record])
    with psycopg.connect(owner_dsn) as connection:
        rows = connection.execute("SELECT delta::text FROM sent.audit WHERE organization_id = %s", [organization])
        text = "".join(row[0] for row in rows)
    assert "INVITE" not in text
    assert "secret_messages" in text


async def test_text_that_no_database_holds_is_written_all_the_same(store, history, organization):
    evil = replace(opened(organization), dialed="10\0002", flags=("nul \0 here",))
    leg = replace(evil.legs[0], user_agent="Evil\0Phone \ud83d".encode("utf-8", "replace").decode())
    evil = replace(evil, legs=(leg,))
    await store.write(organization, [evil])
    detail = await history.get(organization, CLI, evil.id)
    assert detail.call.dialed == "10\ufffd2"
    assert detail.call.flags == ["nul \ufffd here"]


async def test_another_organization_sees_nothing(store, history, organization):
    record = opened(organization)
    await store.write(organization, [record])
    with pytest.raises(NotFound):
        await history.get(uuid7(), CLI, record.id)
    assert (await history.list(uuid7(), CLI)).calls == []


async def test_a_list_has_filters_and_a_cursor(store, history, organization):
    carol = Party(PartyKind.OUTSIDE, "+4930123456", "Carol")
    records = []
    for n in range(7):
        record = opened(organization, AT + timedelta(minutes=n), caller=carol if n == 3 else ALICE)
        records.append(ended(answered(record)) if n < 5 else record)
    await store.write(organization, records)
    ids = [record.id for record in reversed(records)]
    seen, cursor = [], None
    while True:
        page = await history.list(organization, CLI, Filter(before=cursor), limit=3)
        seen += [call.id for call in page.calls]
        cursor = page.next
        if cursor is None:
            break
    assert seen == ids

    async def listed(**wanted):
        return [call.id for call in (await history.list(organization, CLI, Filter(**wanted))).calls]

    assert await listed(live=True) == ids[:2]
    assert await listed(live=False) == ids[2:]
    assert await listed(number="+4930123456") == [records[3].id]
    assert await listed(number="102") == ids
    assert await listed(user_id=records[0].callee.user_id) == ids[2:]
    assert await listed(direction=Direction.OUTBOUND) == []
    assert await listed(disposition=Disposition.ANSWERED) == ids[2:]
    assert await listed(end_code=EndCode.BUSY) == []
    assert await listed(since=AT + timedelta(minutes=1), until=AT + timedelta(minutes=3)) == [
        records[2].id,
        records[1].id,
    ]
    with pytest.raises(BadInput):
        await history.list(organization, CLI, limit=0)


async def test_a_call_is_found_by_a_part_of_its_id(store, history, organization):
    one, two = opened(organization), opened(organization)
    await store.write(organization, [one, two])
    assert await history.find(organization, CLI, str(one.id)[-8:].upper()) == one.id
    assert await history.find(organization, CLI, str(two.id)) == two.id
    with pytest.raises(BadInput, match="More than one"):
        await history.find(organization, CLI, str(one.id)[:8])
    with pytest.raises(NotFound):
        await history.find(organization, CLI, "ffffffff")
    for bad in ("%", "zzzz", "abc", "' or 1=1"):
        with pytest.raises(BadInput):
            await history.find(organization, CLI, bad)


async def test_show_prints_the_call_its_legs_and_its_ladder(store, history, organization):
    record = ended(answered(opened(organization)))
    await store.write(organization, [record])
    detail = await history.get(organization, CLI, record.id)
    text = show(detail)
    for words in (
        "From       Alice (101)",
        "Answered   2026-01-01 12:00:02 UTC, after 2 s",
        "Ended      2026-01-01 12:00:12 UTC, 10 s of talk",
        "Why        Bob hung up. [hung_up]",
        "from it  498 packets, 0.6 % lost, jitter 3.5 ms, MOS 4.36 (R 91.2), from 192.0.2.20:4000",
        "to it    500 packets, 0.4 % lost, round trip 41 ms",
        "! A flag.",
        "┤ connected ├",
        "(4 further messages were not kept)",
    ):
        assert words in text, words
    assert text.count("INVITE 102") == 2
    assert max(map(len, text.split("\n"))) <= 100
    assert show(detail, ascii_only=True).isascii()


# -- write-behind -------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def writing(store, folder):
    writer = RecordWriter(store, Spill(folder))
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task
        await writer.close()


async def test_the_writer_writes_and_replays_into_the_database(store, history, organization, tmp_path):
    left_over = ended(answered(opened(organization)))
    Spill(tmp_path).append([left_over])
    async with writing(store, tmp_path) as writer:
        records = [ended(answered(opened(organization, AT + timedelta(seconds=n)))) for n in range(1, 31)]
        for record in records:
            writer.put(record)
        assert await writer.flushed(20)
    page = await history.list(organization, CLI)
    assert {call.id for call in page.calls} == {r.id for r in (left_over, *records)}
    assert Spill(tmp_path).is_empty()


async def test_a_record_that_the_database_refuses_is_put_aside(store, history, organization, tmp_path):
    good, bad = opened(organization), replace(opened(organization), version=2**40)
    async with writing(store, tmp_path) as writer:
        writer.put(bad)
        writer.put(good)
        assert await writer.flushed(20)
        assert writer.counters["refused"] == 1
    assert [call.id for call in (await history.list(organization, CLI)).calls] == [good.id]


# -- leases -------------------------------------------------------------------------------------------------------


def lease(database, node, *, start=None, lapsed=lambda: None):
    return NodeLease(database, node, "test", start or datetime.now(UTC), lapsed)


async def test_a_node_that_was_killed_closes_its_own_records_at_its_next_start(
    database, store, history, organization, owner_dsn
):
    node = uuid7()
    before = lease(database, node, start=AT - timedelta(hours=1))
    await before.take()
    up = answered(opened(organization, node=node))
    over = ended(answered(opened(organization, node=node)))
    await store.write(organization, [up, over])
    seen_last = AT + timedelta(minutes=5)
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("UPDATE sent.node_leases SET renewed_at = %s WHERE id = %s", [seen_last, node])
    assert await lease(database, node).take() == 1
    detail = await history.get(organization, CLI, up.id)
    assert (detail.call.end_code, detail.call.end_words, detail.call.end_by) == ("interrupted", OWN_WORDS, "system")
    assert detail.call.ended_at == seen_last, "the last sign of life is the best guess of the end"
    assert (detail.call.disposition, detail.call.states[-1]["state"]) == ("answered", "ended")
    assert [leg.end_code for leg in detail.legs] == ["interrupted", "interrupted"]
    assert (await history.get(organization, CLI, over.id)).call.end_code == "hung_up"


async def test_a_clock_that_was_set_back_leaves_no_record_open(database, store, history, organization):
    node = uuid7()
    await lease(database, node, start=AT - timedelta(hours=1)).take()
    up = answered(opened(organization, node=node))
    await store.write(organization, [up])
    assert await lease(database, node, start=AT - timedelta(days=300)).take() == 1
    call = (await history.get(organization, CLI, up.id)).call
    assert call.end_code == "interrupted"
    assert call.ended_at >= call.answered_at


async def test_calls_of_this_process_are_never_closed_by_its_own_lease(database, store, history, organization):
    node = uuid7()
    mine = lease(database, node, start=AT - timedelta(seconds=1))
    await mine.take()
    record = opened(organization, node=node)
    await store.write(organization, [record])
    task = asyncio.create_task(mine.run())
    await asyncio.sleep(0.3)
    task.cancel()
    assert (await history.get(organization, CLI, record.id)).call.ended_at is None


async def test_another_node_closes_records_only_when_the_lease_ran_out(
    database, store, history, organization, owner_dsn
):
    dead, alive = uuid7(), uuid7()
    await lease(database, dead, start=AT - timedelta(hours=1)).take()
    record = opened(organization, node=dead)
    await store.write(organization, [record])
    other = lease(database, alive)
    await other.take()
    assert (await history.get(organization, CLI, record.id)).call.ended_at is None
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("UPDATE sent.node_leases SET expires_at = now() - interval '1 s' WHERE id = %s", [dead])
    assert await lease(database, alive).take() == 1
    call = (await history.get(organization, CLI, record.id)).call
    assert (call.end_code, call.end_words, call.disposition) == ("interrupted", LAPSED_WORDS, "failed")

    # The node had only lost the database: its next version stands again, and its last one, too.
    await store.write(organization, [answered(record)])
    call = (await history.get(organization, CLI, record.id)).call
    assert (call.state, call.end_code, call.ended_at) == ("connected", None, None)


async def test_a_record_of_a_node_without_any_lease_is_closed_too(database, store, history, organization):
    record = opened(organization, node=uuid7())
    await store.write(organization, [record])
    await lease(database, uuid7()).take()
    call = (await history.get(organization, CLI, record.id)).call
    assert (call.end_code, call.ended_at) == ("interrupted", call.started_at)


async def test_a_lease_that_had_lapsed_is_reported_once_it_is_renewed(database, owner_dsn):
    node, heard = uuid7(), asyncio.Event()
    mine = lease(database, node, lapsed=heard.set)
    await mine.take()
    with psycopg.connect(owner_dsn, autocommit=True) as connection:
        connection.execute("UPDATE sent.node_leases SET expires_at = now() - interval '1 s' WHERE id = %s", [node])
    task = asyncio.create_task(mine.run())
    async with asyncio.timeout(5):
        await heard.wait()
    task.cancel()
    await mine.give_up()
    with psycopg.connect(owner_dsn) as connection:
        row = connection.execute("SELECT expires_at <= now() FROM sent.node_leases WHERE id = %s", [node]).fetchone()
    assert row == (True,)


async def test_retention_deletes_old_records_with_legs_and_ladders_and_no_others(
    database, store, history, organization, owner_dsn
):
    now = AT + timedelta(days=31)
    old = [ended(answered(opened(organization, AT + timedelta(seconds=n)))) for n in range(3)]
    still_up = opened(organization)
    young = ended(answered(opened(organization, AT + timedelta(days=5))))
    other = uuid7()
    theirs = ended(answered(opened(other)))
    await store.write(organization, [*old, still_up, young])
    await store.write(other, [theirs])
    assert await delete_old_records(database, organization, 30, now) == 3
    assert {c.id for c in (await history.list(organization, CLI)).calls} == {still_up.id, young.id}
    assert len((await history.list(other, CLI)).calls) == 1

    def left(*records):
        with psycopg.connect(owner_dsn, options="-c sent.reason=migrate") as connection:
            return connection.execute(
                "SELECT (SELECT count(*) FROM sent.call_legs WHERE call_id = ANY(%(ids)s)),"
                " (SELECT count(*) FROM sent.call_ladder WHERE id = ANY(%(ids)s))",
                {"ids": [r.id for r in records]},
            ).fetchone()

    assert left(*old) == (0, 0)
    assert left(young, theirs) == (4, 2)
