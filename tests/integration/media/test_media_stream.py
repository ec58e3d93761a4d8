"""The PCM stream leg: what Python says is heard, what is said is heard in Python, clear is exact."""

from __future__ import annotations

import asyncio
from array import array

import pytest

from sent.media.port import MediaEngine
from sent.media.types import MarkReached, MediaEvent, StreamReadable
from sent.testing.audio import level_of, listen, tone
from sent.testing.rtp_peer import Connect, converse

pytestmark = pytest.mark.engine


@pytest.mark.parametrize("rate", [8_000, 16_000, 24_000, 48_000])
def test_both_hear_each_other(engine: MediaEngine, connect: Connect, rate: int) -> None:
    alice, a = connect()
    stream = engine.open_stream(rate)
    engine.bridge(a, stream)
    audio = tone(600, 1000, rate).tobytes()
    assert engine.stream_write(stream, audio) == len(audio)
    alice.play(tone(440, 1200))
    converse(1.2, alice)
    assert listen(alice.heard()[:8000]).is_tone(600, -13)
    heard = array("h", engine.stream_read(stream, 1 << 20))
    assert len(heard) == pytest.approx(1.2 * rate, abs=0.15 * rate)
    assert listen(heard, rate).is_tone(440, -13)


def test_clear_is_exact(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    stream = engine.open_stream(8_000)
    engine.bridge(a, stream)
    engine.stream_write(stream, tone(600, 1500).tobytes())
    converse(0.3, alice)
    engine.stream_clear(stream)
    converse(0.06, alice)
    alice.forget()
    converse(0.3, alice)
    assert level_of(alice.heard()) < -60
    engine.stream_write(stream, tone(900, 400).tobytes())
    alice.forget()
    converse(0.5, alice)
    assert listen(alice.heard()[800:3000]).is_tone(900, -13)


async def test_marks_come_when_their_audio_was_played(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    stream = engine.open_stream(8_000)
    engine.bridge(a, stream)
    reached: list[tuple[str, float]] = []
    loop = asyncio.get_running_loop()

    def sink(event: MediaEvent) -> None:
        if isinstance(event, MarkReached):
            reached.append((event.name, loop.time()))

    engine.listen(sink)
    start = loop.time()
    for name in ("first", "second"):
        engine.stream_write(stream, tone(600, 200).tobytes())
        engine.stream_mark(stream, name)
    await asyncio.to_thread(converse, 0.6, alice)
    assert [name for name, _ in reached] == ["first", "second"]
    assert reached[0][1] - start == pytest.approx(0.2, abs=0.06)
    assert reached[1][1] - start == pytest.approx(0.4, abs=0.06)


async def test_readable_is_told_once_until_read_empty(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    stream = engine.open_stream(8_000)
    engine.bridge(a, stream)
    events: list[MediaEvent] = []
    engine.listen(events.append)
    alice.play(tone(440, 2000))
    await asyncio.to_thread(converse, 0.3, alice)
    assert events == [StreamReadable(stream)]
    engine.stream_read(stream, 1 << 20)
    await asyncio.to_thread(converse, 0.2, alice)
    assert events == [StreamReadable(stream)] * 2


def test_a_slow_reader_loses_the_oldest(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    stream = engine.open_stream(8_000, max_buffer_ms=200)
    engine.bridge(a, stream)
    alice.play(tone(440, 500) + tone(900, 500))
    converse(1.1, alice)
    heard = array("h", engine.stream_read(stream, 1 << 20))
    assert len(heard) == 1_600
    assert listen(heard[:800]).is_tone(900) or level_of(heard[:160]) < -60


def test_two_streams_hear_each_other_at_their_own_rates(engine: MediaEngine) -> None:
    slow, fast = engine.open_stream(8_000), engine.open_stream(48_000)
    engine.bridge(slow, fast)
    engine.stream_write(slow, tone(440, 600).tobytes())
    engine.stream_write(fast, tone(700, 600, 48_000).tobytes())
    converse(0.7)
    assert listen(array("h", engine.stream_read(slow, 1 << 20))[:4800]).is_tone(700, -13)
    assert listen(array("h", engine.stream_read(fast, 1 << 20))[:28_800], 48_000).is_tone(440, -13)
