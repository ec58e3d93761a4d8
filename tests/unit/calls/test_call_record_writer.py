from __future__ import annotations

import asyncio
import contextlib
import stat
from datetime import UTC, datetime
from uuid import UUID

import pytest
from tests.scenarios.calls_world import run

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.leg import LegState, Role
from sent.calls.models import CallRecord, Disposition, Ladder, LadderMessage, LegRecord, Quality
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.records import LINGER_SECONDS, RecordWriter
from sent.calls.rows import call_row
from sent.calls.spill import Spill
from sent.calls.state import CallState, StateAt
from sent.kit.errors import Unavailable
from sent.kit.ids import uuid7

AT = datetime(2026, 1, 1, 12, 0, 0, 123000, tzinfo=UTC)
ORGANIZATION = UUID(int=1)
ALICE = Party(PartyKind.USER, "101", "Alice", user_id=UUID(int=5), device_id=UUID(int=6))


def record(call_id=None, version=1, organization_id=ORGANIZATION, **more):
    return CallRecord(
        call_id or uuid7(), organization_id, UUID(int=9), version, "102", ALICE, CallState.NEW, AT, **more
    )


FULL = record(
    version=3,
    direction=Direction.OUTBOUND,
    callee=Party(PartyKind.OUTSIDE, "+4930123", trunk_id=UUID(int=7)),
    states=(StateAt(CallState.NEW, AT),),
    ended_at=AT,
    ending=Ending(EndCode.CARRIER_REFUSED, "No.", "carrier", Blame.CARRIER, 403, "Q.850", "399"),
    disposition=Disposition.REFUSED,
    flags=("bad",),
    legs=(
        LegRecord(
            UUID(int=3),
            Role.CALLER,
            ALICE,
            LegState.ENDED,
            AT,
            extra={"k": "v"},
            quality=Quality(mos=4.1),
            flags=("x",),
        ),
    ),
    ladder=Ladder((LadderMessage(AT, "id", True, "192.0.2.1:5060", "INVITE …"),), 2),
)


class Store:
    def __init__(self):
        self.gone = False
        self.bad: set[UUID] = set()
        self.batches = []

    async def write(self, organization_id, records):
        await asyncio.sleep(0.001)
        if self.gone:
            raise Unavailable("db.unavailable", "Gone.")
        assert {r.organization_id for r in records} == {organization_id}
        if any(r.id in self.bad for r in records):
            raise ValueError("invalid text representation")
        self.batches.append(list(records))

    @property
    def written(self):
        return [r for batch in self.batches for r in batch]


@contextlib.asynccontextmanager
async def writing(store, folder, **more):
    writer = RecordWriter(store, Spill(folder), **more)
    task = asyncio.create_task(writer.run())
    try:
        yield writer
    finally:
        task.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await task


def test_a_spilled_record_is_read_back_whole_and_the_file_is_private(tmp_path):
    spill = Spill(tmp_path / "spool")
    spill.prepare()
    assert spill.append([FULL, record()]) == 2
    assert spill.begin_replay()
    assert next(spill.read()) == FULL
    file = tmp_path / "spool" / "calls.replay.jsonl"
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_a_line_that_a_crash_cut_short_is_skipped(tmp_path):
    spill = Spill(tmp_path)
    spill.append([FULL])
    whole = (tmp_path / "calls.jsonl").read_bytes()
    (tmp_path / "calls.jsonl").write_bytes(b"{}\n" + whole + whole[:100])
    spill.begin_replay()
    assert list(spill.read()) == [FULL]


def test_what_comes_during_a_replay_goes_to_a_new_file(tmp_path):
    spill = Spill(tmp_path)
    spill.append([FULL])
    assert spill.begin_replay()
    spill.append([record()])
    assert list(spill.read()) == [FULL]
    spill.end_replay()
    assert not spill.is_empty()
    assert spill.begin_replay()
    spill.end_replay()
    assert spill.is_empty()
    assert not spill.begin_replay()


def test_the_spill_file_has_a_bound(tmp_path, monkeypatch):
    monkeypatch.setattr("sent.calls.spill.MAX_OCTETS", 1_000)
    spill = Spill(tmp_path)
    kept = spill.append([record() for _ in range(10)])
    assert 0 < kept < 10
    assert (tmp_path / "calls.jsonl").stat().st_size <= 1_000


def test_versions_that_wait_become_one_and_never_go_back(tmp_path):
    async def scenario():
        store = Store()
        store.gone = True
        async with writing(store, tmp_path) as writer:
            call = uuid7()
            for version in (1, 3, 2):
                writer.put(record(call, version))
                await asyncio.sleep(0.1)
            store.gone = False
            assert await writer.flushed(60)
            assert [(r.id, r.version) for r in store.written] == [(call, 3)]

    run(scenario())


def test_a_version_put_while_an_older_one_is_being_written_is_written_after_it(tmp_path):
    async def scenario():
        store = Store()
        async with writing(store, tmp_path) as writer:
            call = uuid7()
            await asyncio.sleep(1)
            writer.put(record(call, 1))
            await asyncio.sleep(LINGER_SECONDS + 0.0005)
            writer.put(record(call, 2))
            assert await writer.flushed(60)
            assert [r.version for r in store.written] == [1, 2]

    run(scenario())


def test_batches_are_of_one_organization(tmp_path):
    async def scenario():
        store = Store()
        async with writing(store, tmp_path) as writer:
            for n in range(250):
                writer.put(record(organization_id=UUID(int=n % 2 + 1)))
            assert await writer.flushed(60)
            assert len(store.written) == 250
            assert len(store.batches) <= 6

    run(scenario())


def test_one_bad_record_is_put_aside_and_the_others_are_written(tmp_path):
    async def scenario():
        store = Store()
        bad = record()
        store.bad.add(bad.id)
        async with writing(store, tmp_path) as writer:
            for r in (record(), bad, record()):
                writer.put(r)
            assert await writer.flushed(60)
            assert len(store.written) == 2
            assert writer.counters["refused"] == 1
        assert str(bad.id) in (tmp_path / "calls.refused.jsonl").read_text()

    run(scenario())


def test_the_file_is_replayed_when_the_database_is_back_newest_version_only(tmp_path):
    async def scenario():
        call = uuid7()
        spill = Spill(tmp_path)
        spill.append([record(call, 1), record(call, 2), record(organization_id=UUID(int=2))])
        store = Store()
        store.gone = True
        async with writing(store, tmp_path) as writer:
            await asyncio.sleep(5)
            assert not spill.is_empty()
            store.gone = False
            await asyncio.sleep(60)
            assert sorted(r.version for r in store.written) == [1, 2]
            assert writer.counters["replayed"] == 2
            assert spill.is_empty()

    run(scenario())


def test_a_full_disk_loses_records_loudly_and_nothing_else(tmp_path, monkeypatch):
    async def scenario():
        store = Store()
        store.gone = True

        def full(*_):
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(Spill, "append", full)
        async with writing(store, tmp_path, max_waiting=10) as writer:
            for _ in range(15):
                writer.put(record())
            await asyncio.sleep(60)
            assert len(writer) <= 10
            assert writer.counters["lost"] == 15 - len(writer)
            store.gone = False
            assert await writer.flushed(60)
            assert len(store.written) == 15 - writer.counters["lost"]

    run(scenario())


def test_what_is_put_without_end_is_bounded(tmp_path):
    async def scenario():
        writer = RecordWriter(Store(), Spill(tmp_path), max_waiting=10)
        for _ in range(50):
            writer.put(record())
        assert len(writer) == 20
        assert writer.counters["lost"] == 30

    run(scenario())


def test_close_keeps_what_waits(tmp_path):
    async def scenario():
        writer = RecordWriter(Store(), Spill(tmp_path))
        writer.put(FULL)
        assert await writer.close() == 1
        assert await writer.close() == 0
        spill = Spill(tmp_path)
        spill.begin_replay()
        assert list(spill.read()) == [FULL]

    run(scenario())


@pytest.mark.parametrize("value", ["a\0b", "\0"])
def test_nul_never_reaches_a_row(value):
    row = call_row(record(flags=(value,), recording_error=value))
    assert "\0" not in row["recording_error"]
    assert "\0" not in row["flags"].obj[0]
