"""Calls while the database is gone, on virtual time, with the real writer over a store that fails."""

from __future__ import annotations

import asyncio
import contextlib

from sent.calls.ending import EndCode
from sent.calls.records import RecordWriter
from sent.calls.spill import Spill
from sent.calls.state import CallState
from sent.kit.errors import Unavailable
from sent.kit.ids import uuid7
from tests.scenarios.calls_world import World, run
from tests.unit.calls.records_made import answered, ended, opened


class Store:
    def __init__(self):
        self.gone = False
        self.rows = {}

    async def write(self, organization_id, records):
        await asyncio.sleep(0.01)
        if self.gone:
            raise Unavailable("db.unavailable", "The database does not answer.")
        for record in records:
            known = self.rows.get(record.id)
            if known is None or known.version < record.version:
                self.rows[record.id] = record


@contextlib.asynccontextmanager
async def writing(store, folder, **more):
    writer = RecordWriter(store, Spill(folder), **more)
    task = asyncio.create_task(writer.run())
    yield writer
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task
    await writer.close()


def test_a_database_gone_in_mid_call_ends_no_call_and_its_record_is_written_when_it_is_back(tmp_path):
    async def scenario():
        store = Store()
        async with writing(store, tmp_path) as writer:
            world = World(records=writer)
            bob = world.phone("Bob", "102", (1, "ringing"), (3, "answer"))
            world.route("102", world.ring("102"))
            alice = world.caller()
            call = world.start(alice)
            await asyncio.sleep(2)
            assert store.rows[call].state is CallState.NEW, "an open record is there from the start"
            store.gone = True
            await asyncio.sleep(300)
            assert world.engine.hears(alice.media) == f"leg {bob.media}"
            assert store.rows[call].answered_at is None
            bob.say("hangup")
            await asyncio.sleep(300)
            assert store.rows[call].ending is None
            assert not await writer.flushed(), "a shutdown does not wait for a database that is gone"
            store.gone = False
            assert await writer.flushed(60)
            record = store.rows[call]
            assert record.ending.code is EndCode.HUNG_UP
            assert (record.ended_at - record.answered_at).total_seconds() > 290
            assert writer.counters["lost"] == 0

    run(scenario())


def test_a_node_that_stops_without_its_database_keeps_the_records_for_its_next_start(tmp_path):
    async def scenario():
        store = Store()
        store.gone = True
        async with writing(store, tmp_path) as writer:
            world = World(records=writer)
            world.phone("Bob", "102", (1, "answer"))
            world.route("102", world.ring("102"))
            call = world.start(world.caller())
            await asyncio.sleep(2)
            await world.registry.drain(1)
        assert not store.rows
        store.gone = False
        async with writing(store, tmp_path) as writer:
            await writer.flushed()
            await asyncio.sleep(1)
        assert store.rows[call].ending.code is EndCode.SHUT_DOWN
        assert Spill(tmp_path).is_empty()

    run(scenario())


def test_when_too_many_wait_the_oldest_go_to_the_file_and_come_back(tmp_path):
    async def scenario():
        store = Store()
        store.gone = True
        async with writing(store, tmp_path, max_waiting=20) as writer:
            world = World(records=writer)
            for _ in range(50):
                world.route("102", world.ring("nobody"))
                world.start(world.caller())
                await asyncio.sleep(1)
            await asyncio.sleep(31)
            assert len(writer) <= 20
            assert writer.counters["spilled"] >= 30
            store.gone = False
            await asyncio.sleep(60)
            assert len(store.rows) == 50
            assert all(record.ending.code is EndCode.OFFLINE for record in store.rows.values())
            assert Spill(tmp_path).is_empty()

    run(scenario())


def test_ten_thousand_records_while_the_database_is_gone_are_all_written_in_their_newest_version(tmp_path):
    async def scenario():
        store = Store()
        store.gone = True
        organization = uuid7()
        newest = {}
        async with writing(store, tmp_path) as writer:
            for number in range(10_000):
                first = opened(organization)
                last = ended(answered(first))
                newest[first.id] = last
                writer.put(first)
                writer.put(last)
                writer.put(first)  # a late version changes nothing
                if number % 500 == 0:
                    await asyncio.sleep(0.5)
            store.gone = False
            async with asyncio.timeout(3_000):
                while not await writer.flushed() or len(writer):
                    pass
            await asyncio.sleep(60)
            assert (writer.counters["lost"], writer.counters["refused"]) == (0, 0)
            assert writer.counters["spilled"] >= 6_000
        assert {key: record.version for key, record in store.rows.items()} == {
            key: record.version for key, record in newest.items()
        }
        assert Spill(tmp_path).is_empty()

    run(scenario())
