"""Sockets, threads, files and memory are given back, however a leg ends."""

from __future__ import annotations

import gc
import os
import resource
import time
from collections.abc import Callable
from pathlib import Path

import psutil
import pytest

from sent.media.port import MediaEngine, MediaError
from sent.media.types import Codec, RecordingHandle, RtpSettings, ToneStep
from sent.testing.rtp_peer import Connect, converse

pytestmark = pytest.mark.engine

Stop = Callable[[RecordingHandle], None]
TONE = (ToneStep((425.0,), 1_000),)


def descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def one_call(engine: MediaEngine, spool: Path, number: int, stop: Stop) -> None:
    """Two legs and a stream leg with all that a leg can have; closed in the middle of everything."""
    codec = Codec(0, "PCMU")
    (a, ports), (b, _) = engine.open_rtp("127.0.0.1"), engine.open_rtp("127.0.0.1")
    remote = (ports.address, ports.port)
    settings = RtpSettings(receive=(codec,), send=codec, remote=remote, dtmf_send=101, dtmf_receive=101)
    engine.configure(a, settings)
    engine.configure(b, settings)
    stream = engine.open_stream(16_000)
    engine.stream_write(stream, bytes(6_400))
    engine.bridge(a, b)
    engine.play_tone(a, TONE, loop=True)
    engine.send_digits(b, "12")
    recording = engine.start_recording(spool / str(number), bytes(32), bytes(16), a, b) if number % 10 == 0 else None
    engine.bridge(b, stream)
    for leg in (a, stream, b):
        engine.close(leg)
    if recording is not None:
        stop(recording)
        (spool / str(number)).unlink()


def test_a_thousand_legs_leave_nothing(engine: MediaEngine, tmp_path: Path, stop: Stop) -> None:
    for number in range(20):
        one_call(engine, tmp_path, number, stop)
    process = psutil.Process()
    before = (descriptors(), process.num_threads())
    memory = process.memory_full_info().uss
    for number in range(334):
        one_call(engine, tmp_path, number, stop)
    assert (descriptors(), process.num_threads()) == before
    assert process.memory_full_info().uss - memory < 4 << 20
    health = engine.health()
    assert (health.legs, health.sockets, health.recordings) == (0, 0, 0)


def test_shutting_down_closes_what_is_open(tmp_path: Path) -> None:
    pytest.importorskip("sent.media._engine", reason="the media extension is not built")
    from sent.media.engine import RustEngine, open_spool

    process = psutil.Process()
    before = (descriptors(), process.num_threads())
    engine = RustEngine(25_000, 25_099)
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.play_tone(leg, TONE, loop=True)
    engine.start_recording(tmp_path / "r", bytes(32), bytes(16), leg, engine.open_stream(8_000))
    begun = time.monotonic()
    engine.shut_down()
    assert time.monotonic() - begun < 2
    engine.shut_down()
    assert (descriptors(), process.num_threads()) == before
    assert not open_spool(tmp_path / "r", bytes(32), 8_000).info().truncated


def test_an_engine_that_is_dropped_without_a_word_leaves_nothing(tmp_path: Path) -> None:
    pytest.importorskip("sent.media._engine", reason="the media extension is not built")
    from sent.media.engine import RustEngine, open_spool

    process = psutil.Process()
    before = (descriptors(), process.num_threads())
    engine = RustEngine(25_100, 25_199)
    leg, _ = engine.open_rtp("127.0.0.1")
    engine.play_tone(leg, TONE, loop=True)
    engine.start_recording(tmp_path / "r", bytes(32), bytes(16), leg, leg)
    del engine
    gc.collect()
    assert (descriptors(), process.num_threads()) == before
    assert not open_spool(tmp_path / "r", bytes(32), 8_000).info().truncated


def test_stopping_a_recording_waits_for_no_disk(engine: MediaEngine, tmp_path: Path) -> None:
    leg, _ = engine.open_rtp("127.0.0.1")
    slowest = 0.0
    for number in range(50):
        recording = engine.start_recording(tmp_path / str(number), bytes(32), bytes(16), leg, leg)
        begun = time.perf_counter()
        engine.stop_recording(recording)
        slowest = max(slowest, time.perf_counter() - begun)
    assert slowest < 0.05


def test_lateness_is_measured(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    converse(0.5, alice, bob)
    health = engine.health()
    assert health.threads == 2
    assert 0 < health.late_p50_ms <= health.late_p99_ms <= health.late_max_ms < 500
    assert health.counters["received"] >= 48


def test_without_more_files_the_limit_is_named(engine: MediaEngine) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    lowest_free = os.dup(0)
    os.close(lowest_free)
    resource.setrlimit(resource.RLIMIT_NOFILE, (lowest_free, hard))
    try:
        with pytest.raises(MediaError, match="limit of open files") as refused:
            engine.open_rtp("127.0.0.1")
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert refused.value.code == "media.no_ports"
    assert engine.health().legs == 0
