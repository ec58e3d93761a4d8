"""Tones, files, hold music: what is played replaces the bridge, and the bridge comes back."""

from __future__ import annotations

import asyncio
import wave
from itertools import pairwise
from pathlib import Path

import pytest

from sent.media.port import MediaEngine
from sent.media.types import MediaEvent, PlaybackEnded, ToneStep
from sent.testing.audio import Samples, gaps, level_at, level_of, listen, silence, tone
from sent.testing.rtp_peer import Connect, converse

pytestmark = pytest.mark.engine


def write_wav(path: Path, samples: Samples, rate: int) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples.tobytes())
    return path


def test_a_tone_with_its_cadence(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    engine.play_tone(a, (ToneStep((425.0,), 200, -10.0), ToneStep((), 100)), loop=True)
    converse(1.1, silent=(alice,))
    heard = alice.heard()
    assert listen(heard[320:1440]).is_tone(425)
    pauses = gaps(heard)
    assert pauses
    for _, length in pauses[:-1]:
        assert abs(length - 100) <= 20
    for (one, _), (other, _) in pairwise(pauses):
        assert abs(other - one - 300) <= 20


def test_two_frequencies_share_the_level(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    engine.play_tone(a, (ToneStep((350.0, 440.0), 1000, -13.0),))
    converse(0.9, silent=(alice,))
    heard = alice.heard()[800:6400]
    assert level_of(heard) == pytest.approx(-13, abs=0.5)
    assert level_at(heard, 350) == pytest.approx(-16, abs=0.5)
    assert level_at(heard, 440) == pytest.approx(-16, abs=0.5)


@pytest.mark.parametrize("rate", [8_000, 16_000, 44_100])
async def test_a_file_of_any_rate_ends_with_an_event(
    engine: MediaEngine, connect: Connect, tmp_path: Path, rate: int
) -> None:
    alice, a = connect()
    events: list[MediaEvent] = []
    engine.listen(events.append)
    file = write_wav(tmp_path / "hello.wav", tone(600, 500, rate), rate)
    playback = engine.play_file(a, file)
    await asyncio.to_thread(converse, 0.8, silent=(alice,))
    heard = alice.heard()
    assert listen(heard[:4000]).is_tone(600, -13)
    assert len(heard) == pytest.approx(4000, abs=320)
    assert events == [PlaybackEnded(a, playback, True)]


def test_hold_music_replaces_the_bridge_and_gives_it_back(
    engine: MediaEngine, connect: Connect, tmp_path: Path
) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    music = write_wav(tmp_path / "hold.wav", tone(700, 120, 16_000) + silence(40, 16_000), 16_000)
    engine.play_file(a, music, loop=True)
    alice.play(tone(440, 5000))
    bob.play(tone(1000, 5000))
    converse(0.7, alice, bob)
    heard = alice.heard()
    assert level_at(heard[1600:4800], 700) > -20
    assert level_at(heard[1600:4800], 1000) < -50
    assert len(gaps(heard)) >= 3, "it loops"
    assert listen(bob.heard()).is_tone(440), "the one who holds still hears the held side"
    engine.stop_playback(a)
    converse(0.1, alice, bob)
    alice.forget()
    converse(0.6, alice, bob)
    assert listen(alice.heard()).is_tone(1000, -13)
    sequence = [packet.sequence for packet in alice.received]
    assert sequence == [(sequence[0] + n) & 0xFFFF for n in range(len(sequence))]


def test_a_played_stream_is_one_stream_to_the_phone(engine: MediaEngine, connect: Connect) -> None:
    """Bridge to tone and back: one source, sequence numbers without a gap, time that never runs back."""
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    bob.play(tone(1000, 5000))
    converse(0.3, alice, bob)
    engine.play_tone(a, (ToneStep((425.0,), 300),))
    converse(0.8, alice, bob)
    assert len({packet.ssrc for packet in alice.received}) == 1
    sequence = [packet.sequence for packet in alice.received]
    assert sequence == [(sequence[0] + n) & 0xFFFF for n in range(len(sequence))]
    steps = [(later.timestamp - earlier.timestamp) & 0xFFFFFFFF for earlier, later in pairwise(alice.received)]
    assert all(0 < step < 8_000 for step in steps)
    assert level_of(alice.heard()[-1600:]) > -20
