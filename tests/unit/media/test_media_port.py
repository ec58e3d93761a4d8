"""One contract, two engines: what scenarios see from `FakeEngine` is what the real one does."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import pytest

from sent.media.port import MediaEngine, MediaError
from sent.media.types import Codec, LegStatistics, MarkReached, MediaEvent, PlaybackEnded, RtpSettings, ToneStep
from sent.testing.engine import FakeEngine

PCMU = Codec(0, "PCMU")
PLAIN = RtpSettings(receive=(PCMU,), send=PCMU)
BEEP = (ToneStep((440.0,), 40),)


@pytest.fixture(params=["fake", pytest.param("rust", marks=pytest.mark.engine)])
def engine(request: pytest.FixtureRequest) -> Iterator[MediaEngine]:
    if request.param == "fake":
        made: MediaEngine = FakeEngine(pairs=3)
    else:
        pytest.importorskip("sent.media._engine", reason="the media extension is not built")
        from sent.media.engine import RustEngine

        made = RustEngine(21_000, 21_005, threads=2)
    yield made
    made.shut_down()


def code_of(refused: pytest.ExceptionInfo[MediaError]) -> str:
    return refused.value.code


def test_ports_are_pairs_and_used_up_with_a_reason(engine: MediaEngine) -> None:
    opened = [engine.open_rtp("127.0.0.1") for _ in range(3)]
    assert len({ports.port for _, ports in opened}) == 3
    for _, ports in opened:
        assert (ports.address, ports.port % 2, ports.rtcp_port) == ("127.0.0.1", 0, ports.port + 1)
    with pytest.raises(MediaError, match="media port range") as refused:
        engine.open_rtp("127.0.0.1")
    assert code_of(refused) == "media.no_ports"
    assert engine.health().sockets == 6
    engine.close(opened[1][0])
    assert engine.open_rtp("127.0.0.1")[1] == opened[1][1]


def test_bad_settings_are_refused(engine: MediaEngine) -> None:
    with pytest.raises(MediaError) as refused:
        engine.open_rtp("localhost")
    assert code_of(refused) == "media.bad_settings"
    with pytest.raises(MediaError) as refused:
        engine.open_stream(44_100)
    assert code_of(refused) == "media.bad_settings"
    stream = engine.open_stream(8_000)
    with pytest.raises(MediaError) as refused:
        engine.configure(stream, PLAIN)
    assert code_of(refused) == "media.bad_settings"


def test_unknown_legs_are_refused_by_name(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.close(leg)
    for command in (
        lambda: engine.configure(leg, PLAIN),
        lambda: engine.bridge(leg, leg),
        lambda: engine.unbridge(leg),
        lambda: engine.play_tone(leg, BEEP),
        lambda: engine.stop_playback(leg),
        lambda: engine.send_digits(leg, "1"),
        lambda: engine.statistics(leg),
        lambda: engine.stream_write(leg, b"\0\0"),
        lambda: engine.stream_read(leg, 2),
        lambda: engine.stream_clear(leg),
        lambda: engine.stream_mark(leg, "m"),
    ):
        with pytest.raises(MediaError) as refused:
            command()
        assert code_of(refused) == "media.no_such_leg"


def test_closing_twice_gives_empty_statistics(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.close(leg)
    assert engine.close(leg) == LegStatistics()
    assert engine.health().legs == 0


def test_an_rtp_leg_is_no_stream(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    with pytest.raises(MediaError) as refused:
        engine.stream_write(leg, b"\0\0")
    assert code_of(refused) == "media.no_such_leg"


def test_digits_need_telephone_event(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.configure(leg, PLAIN)
    with pytest.raises(MediaError) as refused:
        engine.send_digits(leg, "1")
    assert code_of(refused) == "media.bad_settings"
    with_events = RtpSettings(receive=(PCMU,), send=PCMU, dtmf_receive=101, dtmf_send=101)
    engine.configure(leg, with_events)
    engine.send_digits(leg, "12*#AD")
    with pytest.raises(MediaError) as refused:
        engine.send_digits(leg, "x")
    assert code_of(refused) == "media.bad_settings"


def test_a_file_that_is_not_there_cannot_be_played(engine: MediaEngine, tmp_path: Path) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    with pytest.raises(MediaError, match=r"none\.wav") as refused:
        engine.play_file(leg, tmp_path / "none.wav")
    assert code_of(refused) == "media.bad_file"


def test_recordings_need_keys_and_a_new_file(engine: MediaEngine, tmp_path: Path) -> None:
    left, _ = engine.open_rtp("127.0.0.1")
    right = engine.open_stream(8_000)
    with pytest.raises(MediaError) as refused:
        engine.start_recording(tmp_path / "a", bytes(31), bytes(16), left, right)
    assert code_of(refused) == "media.bad_settings"
    recording = engine.start_recording(tmp_path / "a", bytes(32), bytes(16), left, right)
    assert engine.health().recordings == 1
    with pytest.raises(MediaError) as refused:
        engine.start_recording(tmp_path / "a", bytes(32), bytes(16), left, right)
    assert code_of(refused) == "media.bad_file"
    engine.stop_recording(recording)
    engine.stop_recording(recording)
    assert engine.health().recordings == 0


def test_stream_writes_are_bounded_in_whole_samples(engine: MediaEngine) -> None:
    stream = engine.open_stream(8_000, max_buffer_ms=100)
    assert engine.stream_write(stream, bytes(1_000)) == 1_000
    assert engine.stream_write(stream, bytes(1_001)) == 600
    assert engine.stream_read(stream, 100) == b""


async def heard_events(engine: MediaEngine, count: int) -> list[MediaEvent]:
    """The next ``count`` events, within two seconds."""
    events: list[MediaEvent] = []
    complete = asyncio.Event()

    def sink(event: MediaEvent) -> None:
        events.append(event)
        if len(events) >= count:
            complete.set()

    engine.listen(sink)
    async with asyncio.timeout(2):
        await complete.wait()
    return events


async def test_a_playback_ends_and_a_replaced_one_was_not_completed(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.configure(leg, RtpSettings(receive=(PCMU,), send=PCMU, remote=("127.0.0.1", 9)))
    first = engine.play_tone(leg, BEEP, loop=True)
    second = engine.play_tone(leg, BEEP)
    assert await heard_events(engine, 2) == [PlaybackEnded(leg, first, False), PlaybackEnded(leg, second, True)]


async def test_marks_of_a_cleared_stream_are_reached(engine: MediaEngine) -> None:
    stream = engine.open_stream(8_000)
    engine.stream_mark(stream, "at once")
    engine.stream_write(stream, bytes(8_000))
    engine.stream_mark(stream, "after the audio")
    engine.stream_clear(stream)
    assert await heard_events(engine, 2) == [MarkReached(stream, "at once"), MarkReached(stream, "after the audio")]


async def test_closing_a_leg_ends_its_playback(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.configure(leg, PLAIN)
    playback = engine.play_tone(leg, BEEP, loop=True)
    engine.close(leg)
    assert await heard_events(engine, 1) == [PlaybackEnded(leg, playback, False)]


def test_after_shut_down_closing_is_still_no_mistake(engine: MediaEngine) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.shut_down()
    assert engine.close(leg) == LegStatistics()
    with pytest.raises(MediaError) as refused:
        engine.open_rtp("127.0.0.1")
    assert code_of(refused) == "media.no_answer"
