"""What the fake adds to the port: who hears whom, and a peer that the test plays."""

import asyncio
from pathlib import Path

import pytest

from sent.media.types import (
    Codec,
    Digit,
    PlaybackEnded,
    RecordingClosed,
    RecordingFailed,
    RtpSettings,
    StreamReadable,
    ToneStep,
)
from sent.testing.engine import FakeEngine

PCMU = Codec(0, "PCMU")


def settings(*, send: bool = True, receive: bool = True) -> RtpSettings:
    return RtpSettings(receive=(PCMU,), send=PCMU, may_send=send, may_receive=receive)


def test_bridged_legs_hear_each_other_unless_held_or_played_to() -> None:
    engine = FakeEngine()
    (a, _), (b, _) = engine.open_rtp("127.0.0.1"), engine.open_rtp("127.0.0.1")
    assert engine.hears(a) is None
    engine.bridge(a, b)
    assert (engine.hears(a), engine.hears(b)) == (f"leg {b}", f"leg {a}")
    engine.play_file(a, Path(__file__), loop=True)
    assert (engine.hears(a), engine.hears(b)) == (f"file {Path(__file__).name}", f"leg {a}")
    engine.stop_playback(a)
    engine.configure(b, settings(receive=False))
    assert engine.hears(a) is None
    engine.configure(b, settings(send=False))
    assert (engine.hears(a), engine.hears(b)) == (f"leg {b}", None)
    engine.bridge(a, a)
    assert engine.hears(a) == f"leg {a}"
    engine.unbridge(a)
    assert engine.hears(a) is None


def test_a_new_bridge_leaves_the_old_partner_alone() -> None:
    engine = FakeEngine()
    a, b, c = (engine.open_rtp("127.0.0.1")[0] for _ in range(3))
    engine.bridge(a, b)
    engine.bridge(a, c)
    assert (engine.hears(a), engine.hears(b), engine.hears(c)) == (f"leg {c}", None, f"leg {a}")


def test_what_is_left_open_is_named() -> None:
    engine = FakeEngine()
    leg, _ = engine.open_rtp("127.0.0.1")
    recording = engine.start_recording(Path("r.spool"), bytes(32), bytes(16), leg, leg)
    with pytest.raises(AssertionError, match=str(leg)):
        engine.check_released()
    engine.close(leg)
    with pytest.raises(AssertionError, match=r"r\.spool"):
        engine.check_released()
    engine.stop_recording(recording)
    engine.stop_recording(recording)
    assert engine.events == [RecordingClosed(recording)]
    engine.check_released()
    assert engine.named("close") == [(leg,)]


async def test_the_test_plays_the_peer() -> None:
    engine = FakeEngine()
    leg, _ = engine.open_rtp("127.0.0.1")
    stream = engine.open_stream(8_000, max_buffer_ms=20)
    seen: list[object] = []
    engine.press(leg, "1")
    engine.listen(seen.append)
    playback = engine.play_tone(leg, (ToneStep((350.0, 440.0), 10_000),))
    assert engine.hears(leg) == "tone 350+440"
    engine.finish_playback(leg)
    recording = engine.start_recording(Path("r.spool"), bytes(32), bytes(16), leg, stream)
    engine.fail_recording(recording)
    engine.hear(stream, b"\1\0" * 200)
    await asyncio.sleep(0)
    assert seen == [
        Digit(leg, "1", 100),
        PlaybackEnded(leg, playback, True),
        RecordingFailed(recording, "No space left on device"),
        StreamReadable(stream),
    ]
    assert len(engine.stream_read(stream, 10_000)) == 320
    engine.stream_write(stream, b"ab" * 10)
    assert engine.play_out(stream, 4) == b"abab"
