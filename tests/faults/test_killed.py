"""SIGKILL with a recorded call up, and what the next start makes of it."""

from __future__ import annotations

import asyncio
from pathlib import Path

import psutil
import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import ALICE_HZ, BOB_HZ, alice_and_bob, hear_each_other
from tests.faults.records import ended_records, listen_to, live_records, recording_of
from tests.faults.serving import Server
from tests.interop.product import House, new_house

pytestmark = pytest.mark.faults

TALK_S = 4.0


async def test_after_a_kill_records_are_closed_recordings_play_and_phones_can_be_called(
    own_server: Server, own_house: House, engine: RustEngine, tmp_path: Path
) -> None:
    house = own_house
    await house.record_calls(inside=True)
    async with alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        bob_talk = await bob.answered()
        await asyncio.sleep(TALK_S)
        await live_records(house, 1)
        (left_behind,) = own_server.postgres()
        own_server.kill()
        assert left_behind.is_running()
        talk.call.hang_up()
        bob_talk.call.hang_up()

        took = await asyncio.to_thread(own_server.start)
        assert took < 8
        assert [process.pid for process in own_server.postgres()] != [left_behind.pid]
        assert not left_behind.is_running() or left_behind.status() == psutil.STATUS_ZOMBIE  # nobody may reap it

        (record,) = await ended_records(house, 1)
        assert record.call.end_code == "interrupted"
        assert "without warning" in record.call.end_words
        assert record.call.answered_at is not None
        assert record.call.ended_at is not None
        assert {leg.end_code for leg in record.legs} == {"interrupted"}

        recording = await recording_of(house, record.call.id)
        assert (recording.state, recording.truncated) == ("stored", True)
        assert recording.error is not None
        assert "stopped while it was recording" in recording.error
        left, right = await listen_to(house, recording, tmp_path)
        for side, hertz, other in ((left, ALICE_HZ, BOB_HZ), (right, BOB_HZ, ALICE_HZ)):
            assert side.seconds > TALK_S - 1.3
            assert side.hears(hertz)
            assert side.lacks(other)

        # Nobody has registered since.
        again = await alice.talk_to("102")
        await hear_each_other(again, await bob.answered(2))
        again.call.hang_up()
        await again.over()
    assert own_server.stop() == 0
    assert own_server.postgres() == []


async def test_a_ringing_call_is_closed_too_and_a_stopped_server_starts_again_in_seconds(
    own_server: Server, own_house: House, engine: RustEngine
) -> None:
    house = own_house
    async with alice_and_bob(engine, house) as (alice, bob):
        bob.answers = False
        await alice.dial("102")
        await live_records(house, 1)
        own_server.kill()
        await asyncio.to_thread(own_server.start)
        (record,) = await ended_records(house, 1)
        assert (record.call.end_code, record.call.answered_at) == ("interrupted", None)
    assert own_server.stop() == 0
    assert await asyncio.to_thread(own_server.start) < 5
    async with new_house(own_server.product):
        pass
