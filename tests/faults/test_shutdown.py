"""SIGTERM with calls up: no new calls, those that are up go on for a while, every record says what happened."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import Iterator

import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import BOB_HZ, alice_and_bob, hear_each_other, voice
from tests.faults.records import ended_records
from tests.faults.serving import Server, serving
from tests.interop.product import House, new_house

pytestmark = pytest.mark.faults

DRAIN_S = 4.0
_SHORT_DRAIN = f"""
import sys
import sent.app.server as server
from sent.cli.main import main
server.DRAIN_SECONDS = {DRAIN_S}
sys.exit(main(["serve"]))
"""


@pytest.fixture
def own_server() -> Iterator[Server]:
    with serving(_SHORT_DRAIN) as server:
        yield server


async def test_new_calls_are_refused_while_those_that_are_up_go_on_to_the_limit(
    own_server: Server, own_house: House, engine: RustEngine
) -> None:
    house = own_house
    async with (
        alice_and_bob(engine, house) as (alice, bob),
        voice(engine, house, house.bob_second, BOB_HZ, register=False) as other,
    ):
        talk = await alice.talk_to("102")
        bob_talk = await bob.answered()
        before = time.monotonic()
        own_server.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        refused = await other.refused_by("101")
        assert refused.outcome is not None
        assert refused.outcome.status == 503
        await hear_each_other(talk, bob_talk, 2.0)
        await talk.over(DRAIN_S + 3)
        took = time.monotonic() - before
        assert DRAIN_S - 0.5 < took < DRAIN_S + 2.5
        assert "the other side hung up" in talk.call.outcome.words
        assert await asyncio.to_thread(own_server.wait, 15) == 0
    assert own_server.postgres() == []
    own_server.start()
    async with new_house(own_server.product):
        pass
    (record,) = await ended_records(house, 1)
    assert (record.call.end_code, record.call.disposition) == ("shut_down", "answered")
    assert "shut down" in record.call.end_words
    assert record.call.answered_at is not None


async def test_a_call_that_ends_by_itself_ends_the_wait(
    own_server: Server, own_house: House, engine: RustEngine
) -> None:
    house = own_house
    async with alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        await bob.answered()
        own_server.signal(signal.SIGTERM)
        await asyncio.sleep(0.5)
        talk.call.hang_up()
        assert await asyncio.to_thread(own_server.wait, DRAIN_S - 1) == 0
    own_server.start()
    (record,) = await ended_records(house, 1)
    assert (record.call.end_code, record.call.end_by) == ("hung_up", "caller")


async def test_a_second_signal_does_not_wait_for_the_calls(
    own_server: Server, own_house: House, engine: RustEngine
) -> None:
    house = own_house
    async with alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        await bob.answered()
        own_server.signal(signal.SIGTERM)
        await asyncio.sleep(0.3)
        assert talk.is_up
        own_server.signal(signal.SIGTERM)
        await talk.over(2.0)
        assert await asyncio.to_thread(own_server.wait, 5) == 0
    assert own_server.postgres() == []
    own_server.start()
    (record,) = await ended_records(house, 1)
    assert record.call.end_code == "shut_down"
