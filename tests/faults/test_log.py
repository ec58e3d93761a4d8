"""What the log must not hold, whatever is done to the server: passwords, digests, whole phone numbers."""

from __future__ import annotations

import asyncio
from dataclasses import replace

import pytest

from sent.media.engine import RustEngine
from tests.faults.log_hygiene import secrets_in
from tests.faults.phones import ALICE_HZ, alice_and_bob, voice
from tests.faults.records import ended_records
from tests.faults.serving import Server
from tests.interop.product import House

pytestmark = pytest.mark.faults

OUTSIDE = "+4930901820144"


async def test_calls_and_mistakes_leave_no_secret_in_the_log(
    shared_server: Server, house: House, engine: RustEngine
) -> None:
    wrong = replace(house.alice, password="pässword-that-is-wrong")
    async with voice(engine, house, wrong, ALICE_HZ, register=False) as liar:
        assert (await liar.phone.register()).status == 401
        assert (await liar.refused_by("102")).outcome is not None
    async with alice_and_bob(engine, house) as (alice, bob):
        for number in (OUTSIDE, "004930901820144", "9012345678901"):
            refused = await alice.refused_by(number)
            assert refused.outcome is not None
            assert refused.outcome.status in (403, 404, 480)
        talk = await alice.talk_to("102")
        await bob.answered()
        await asyncio.sleep(0.5)
        talk.call.hang_up()
        await talk.over()
    assert len(await ended_records(house, 4)) == 4
    log = shared_server.log_text()
    for secret in (house.alice.password, house.bob.password, wrong.password):
        assert secret not in log
    assert OUTSIDE[3:] not in log
    assert secrets_in(log, shared_server.settings.data_dir) == []
    # The check can fail.
    planted = '{"event": "called", "who": "4930901820144", "level": "info", "timestamp": "2026-01-01T00:00:00Z"}'
    assert secrets_in(planted, shared_server.settings.data_dir) == ["4930901820144"]
