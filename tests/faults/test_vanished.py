"""A phone that is gone without a word: the silence of its audio ends the call and says so.

With the real thresholds this takes half a minute; here they are shorter. The virtual-time scenarios keep the real ones.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from sent.media.engine import RustEngine
from tests.faults.phones import alice_and_bob, hear_each_other
from tests.faults.records import ended_records
from tests.faults.serving import Server, serving
from tests.interop.product import new_house

pytestmark = pytest.mark.faults

_IMPATIENT = """
import functools
import sys
from dataclasses import replace
import sent.app.calling as calling
from sent.calls.tools import Times
from sent.cli.main import main
from sent.media import negotiation
usual = negotiation.settings
negotiation.settings = lambda *given: replace(usual(*given), silence_ms=(1_000, 3_000))
calling.Tools = functools.partial(calling.Tools, times=Times(silence=3.0))
sys.exit(main(["serve"]))
"""


@pytest.fixture
def impatient_server() -> Iterator[Server]:
    with serving(_IMPATIENT) as server:
        yield server


async def test_silence_ends_the_call_with_that_reason(impatient_server: Server, engine: RustEngine) -> None:
    async with new_house(impatient_server.product) as house, alice_and_bob(engine, house) as (alice, bob):
        talk = await alice.talk_to("102")
        await hear_each_other(talk, await bob.answered())
        gone = asyncio.get_running_loop().time()
        await bob.vanish()
        await talk.over(8)
        assert 2.5 < asyncio.get_running_loop().time() - gone < 5.5
        assert talk.call.outcome is not None
        (record,) = await ended_records(house, 1)
        assert record.call.end_code == "media_lost"
        assert "Bob" in record.call.end_words
        assert "3" in record.call.end_words
        assert [flag for flag in record.call.flags if "Bob" in str(flag)], record.call.flags
        # Neither its port nor its leg outlives it for long, though its BYE is never answered.
        metrics = {}
        for _ in range(80):
            metrics = await asyncio.to_thread(impatient_server.metrics)
            if not metrics["sent_media_legs"]:
                break
            await asyncio.sleep(0.1)
        assert metrics["sent_media_legs"] == metrics["sent_calls_active"] == 0
