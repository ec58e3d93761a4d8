"""PostgreSQL stops answering, or dies, while calls are up: they go on, phones can still call, and no record is lost."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import psutil
import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import ALICE_HZ, BOB_HZ, alice_and_bob, hear_each_other
from tests.faults.records import ended_records, listen_to, recording_of
from tests.faults.serving import Server, serving
from tests.interop.product import House, new_house

pytestmark = pytest.mark.faults

_IMPATIENT = """
import sys
import sent.app.tasks as tasks
import sent.infra.db.embedded as embedded
from sent.cli.main import main
tasks.STOP_SECONDS = 1.0
embedded._FAST_STOP_S = embedded._KILL_S = 1.0
sys.exit(main(["serve"]))
"""


@contextlib.asynccontextmanager
async def frozen_database(server: Server) -> AsyncIterator[None]:
    """All processes of the database hang, as with a dead disk or a network that swallows everything."""
    (postmaster,) = server.postgres()
    stopped: list[psutil.Process] = []
    try:
        for process in (postmaster, *postmaster.children()):
            with contextlib.suppress(psutil.NoSuchProcess):
                process.suspend()
                stopped.append(process)
        yield
    finally:
        for process in stopped:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.resume()


async def test_calls_and_new_calls_survive_a_database_that_hangs(
    own_server: Server, own_house: House, engine: RustEngine, tmp_path: Path
) -> None:
    house = own_house
    await house.record_calls(inside=True)
    async with alice_and_bob(engine, house) as (alice, bob):
        first = await alice.talk_to("102")
        first_bob = await bob.answered()
        await asyncio.sleep(1)
        async with frozen_database(own_server):
            await hear_each_other(first, first_bob)
            # A whole call while it is away: credentials and routing are known, and recorded it is as well.
            second = await alice.talk_to("102", seconds=8)
            second_bob = await bob.answered(2)
            await hear_each_other(second, second_bob)
            assert first.is_up
            second.call.hang_up()
            await second.over()
            await second_bob.over()
            await alice.register()
            assert await asyncio.to_thread(own_server.http, "/healthz") is not None
            assert await asyncio.to_thread(own_server.http, "/readyz", 5) is None
        await hear_each_other(first, first_bob)
        first.call.hang_up()
        await first.over()
        records = await ended_records(house, 2, seconds=30)
        for record in records:
            assert (record.call.end_code, record.call.end_words) == ("hung_up", "Alice hung up.")
            recording = await recording_of(house, record.call.id, seconds=30)
            assert recording.state == "stored", recording.error
            left, right = await listen_to(house, recording, tmp_path)
            for side, name, hertz in ((left, "left", ALICE_HZ), (right, "right", BOB_HZ)):
                assert side.hears(hertz), f"{name}, {recording.duration_ms} ms: {side.timeline(x=[hertz])}"
        assert await asyncio.to_thread(own_server.http, "/readyz", 5) is not None
    assert own_server.stop() == 0


async def test_a_database_that_is_killed_is_started_again_under_a_call(
    own_server: Server, own_house: House, engine: RustEngine
) -> None:
    house = own_house
    async with alice_and_bob(engine, house) as (alice, bob):
        first = await alice.talk_to("102")
        first_bob = await bob.answered()
        (postmaster,) = own_server.postgres()
        postmaster.send_signal(signal.SIGKILL)
        second = await alice.talk_to("102", seconds=8)
        await bob.answered(2)
        second.call.hang_up()
        await second.over()
        await hear_each_other(first, first_bob)
        first.call.hang_up()
        await first.over()
        records = await ended_records(house, 2, seconds=30)
        assert [record.call.end_code for record in records] == ["hung_up", "hung_up"]
        assert await asyncio.to_thread(own_server.http, "/readyz", 5) is not None
        (again,) = own_server.postgres()
        assert again.pid != postmaster.pid
    assert own_server.stop() == 0
    assert own_server.postgres() == []


@pytest.fixture
def impatient_server() -> Iterator[Server]:
    with serving(_IMPATIENT) as server:
        yield server


async def test_records_that_cannot_be_written_at_the_end_are_written_at_the_next_start(
    impatient_server: Server, engine: RustEngine
) -> None:
    own_server = impatient_server
    async with new_house(own_server.product) as house, alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        await bob.answered()
        await asyncio.sleep(1)
        async with frozen_database(own_server):
            talk.call.hang_up()
            await talk.over()
            own_server.signal(signal.SIGTERM)
            assert await asyncio.to_thread(own_server.wait, 40) == 0
            spilled = own_server.settings.data_dir / "spool" / "calls" / "calls.jsonl"
            assert spilled.stat().st_mode & 0o077 == 0
            assert "hung up" in spilled.read_text()
        await asyncio.to_thread(own_server.start)
        for _ in range(100):  # the file is read as soon as the server is up
            (record,) = await ended_records(house, 1, seconds=20)
            if record.call.end_code == "hung_up":
                break
            await asyncio.sleep(0.1)
        assert (record.call.end_code, record.call.end_words) == ("hung_up", "Alice hung up.")
        assert not spilled.exists()
