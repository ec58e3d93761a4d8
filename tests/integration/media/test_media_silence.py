"""A phone that falls silent is reported at each threshold, and when it is back."""

from __future__ import annotations

import asyncio

import pytest

from sent.media.port import MediaEngine
from sent.media.types import MediaEvent, MediaResumed, Silence
from sent.testing.rtp_peer import Connect, converse, settings_for

pytestmark = pytest.mark.engine


async def test_thresholds_then_resumed(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect(silence_ms=(200, 500))
    events: list[MediaEvent] = []
    engine.listen(events.append)
    await asyncio.to_thread(converse, 0.3, alice)
    assert events == []
    await asyncio.to_thread(converse, 0.35, silent=(alice,))
    assert events == [Silence(a, 200)]
    await asyncio.to_thread(converse, 0.35, silent=(alice,))
    assert events == [Silence(a, 200), Silence(a, 500)]
    await asyncio.to_thread(converse, 0.1, alice)
    assert events[2:] == [MediaResumed(a)]


async def test_a_phone_that_never_speaks_is_silent_too(engine: MediaEngine, connect: Connect) -> None:
    _, a = connect(silence_ms=(200,))
    events: list[MediaEvent] = []
    engine.listen(events.append)
    await asyncio.sleep(0.4)
    assert events == [Silence(a, 200)]


async def test_one_who_may_not_speak_is_not_missed(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect(silence_ms=(200,))
    engine.configure(a, settings_for(alice, silence_ms=(200,), may_receive=False))
    events: list[MediaEvent] = []
    engine.listen(events.append)
    await asyncio.sleep(0.4)
    assert events == []
