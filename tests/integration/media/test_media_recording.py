"""Recordings by content: left and right, gaps, after a stop, after a kill, on a full disk."""

from __future__ import annotations

import signal
import subprocess
import sys
from array import array
from collections.abc import Callable
from pathlib import Path

import pytest

from sent.media.port import MediaEngine, MediaError
from sent.media.types import RecordingFailed, RecordingHandle
from sent.testing.audio import Samples, gaps, level_of, listen, tone
from sent.testing.rtp_peer import Connect, converse

pytestmark = pytest.mark.engine

Stop = Callable[[RecordingHandle], None]
KEY, ID = bytes(range(32)), bytes(range(16))


def read_all(path: Path, key: bytes = KEY, rate: int = 8_000) -> tuple[Samples, Samples]:
    """Left and right channel."""
    from sent.media.engine import open_spool

    reader = open_spool(path, key, rate)
    stereo: Samples = array("h")
    while frames := reader.read(1_000):
        stereo.frombytes(frames)
    reader.close()
    return stereo[::2], stereo[1::2]


def test_each_side_is_in_its_channel(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    from sent.media.engine import open_spool

    (alice, a), (bob, b) = connect(), connect(8)
    engine.bridge(a, b)
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, b)
    alice.play(tone(440, 1500))
    bob.play(tone(1000, 1500))
    converse(1.5, alice, bob)
    stop(recording)
    left, right = read_all(tmp_path / "call")
    assert listen(left).is_tone(440, -13)
    assert listen(right).is_tone(1000, -13)
    assert len(left) == len(right) == pytest.approx(12_000, abs=800)
    info = open_spool(tmp_path / "call", KEY, 8_000).info()
    assert info.recording_id == ID
    assert info.duration_ms == pytest.approx(1_500, abs=100)
    assert not info.truncated
    assert info.started_unix_ms > 1_700_000_000_000
    assert (tmp_path / "call").stat().st_mode & 0o777 == 0o600


def test_nothing_is_readable_without_the_key(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    alice, a = connect()
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, a)
    alice.play(tone(440, 500))
    converse(0.5, alice)
    stop(recording)
    written = (tmp_path / "call").read_bytes()
    assert len(written) > 3_000
    assert not any(packet.payload in written for packet in alice.sent)
    with pytest.raises(MediaError) as refused:
        read_all(tmp_path / "call", bytes(32))
    assert refused.value.code == "media.bad_file"


@pytest.mark.parametrize("clock_runs_on", [True, False])
def test_a_gap_stays_where_it_was(
    engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop, clock_runs_on: bool
) -> None:
    """Some phones stop their RTP clock while they send nothing, around a hold for one."""
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, b)
    alice.play(tone(440, 5_000))
    bob.play(tone(1000, 5_000))
    converse(0.5, alice, bob)
    converse(0.6, bob, silent=(alice,))
    alice.skip(600 if clock_runs_on else 0)
    converse(0.5, alice, bob)
    stop(recording)
    left, right = read_all(tmp_path / "call")
    inside = [gap for gap in gaps(left) if 100 < gap[0] < 1_400]
    assert len(inside) == 1
    assert inside[0][0] == pytest.approx(500, abs=60)
    assert inside[0][1] == pytest.approx(600, abs=60)
    assert level_of(right[1600:11_200]) == pytest.approx(-13, abs=0.5)


def test_a_stream_leg_is_recorded_too(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    alice, a = connect()
    stream = engine.open_stream(16_000)
    engine.bridge(a, stream)
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, stream)
    engine.stream_write(stream, tone(700, 1_000, 16_000).tobytes())
    alice.play(tone(440, 1_000))
    converse(1.0, alice)
    stop(recording)
    left, right = read_all(tmp_path / "call", rate=16_000)
    assert listen(left, 16_000).is_tone(440, -13)
    assert listen(right, 16_000).is_tone(700, -13)


def test_a_recording_outlives_a_leg(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, b)
    alice.play(tone(440, 500))
    bob.play(tone(1000, 1_000))
    converse(0.5, alice, bob)
    engine.close(a)
    converse(0.5, bob)
    stop(recording)
    left, right = read_all(tmp_path / "call")
    assert listen(left[:4000]).is_tone(440)
    assert level_of(left[4800:]) < -60
    assert level_of(right[1600:7200]) == pytest.approx(-13, abs=0.5)


def test_two_recorded_calls_are_joined(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    """A consultation that becomes a transfer: the calls live on different threads, and both recordings go on."""
    (alice, a), (carol, c), (bob, b), (dave, d) = (connect() for _ in range(4))
    engine.bridge(a, b)
    engine.bridge(c, d)
    first = engine.start_recording(tmp_path / "first", KEY, ID, a, b)
    second = engine.start_recording(tmp_path / "second", KEY, ID, c, d)
    for frequency, peer in zip((400, 700, 1000, 1300), (alice, bob, carol, dave), strict=True):
        peer.play(tone(frequency, 5_000))
    converse(0.5, alice, bob, carol, dave)
    engine.bridge(a, c)
    engine.close(b)
    engine.close(d)
    alice.forget()
    carol.forget()
    converse(0.8, alice, carol)
    stop(first)
    stop(second)
    assert listen(alice.heard()).is_tone(1000, -13)
    assert listen(carol.heard()).is_tone(400, -13)
    for name, frequencies in (("first", (400, 700)), ("second", (1000, 1300))):
        left, right = read_all(tmp_path / name)
        assert len(left) == pytest.approx(10_400, abs=1_000)
        assert listen(left[5_000:]).is_tone(frequencies[0], -13)
        assert listen(right[:4_000]).is_tone(frequencies[1], -13)
        assert level_of(right[5_600:]) < -60


def test_ogg_opus_is_what_every_player_reads(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    """Page by page (RFC 3533 §6, RFC 7845 §3): headers, channels, and a length without the encoder's delay."""
    from sent.media.engine import render_ogg

    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, b)
    alice.play(tone(440, 1_500))
    converse(1.5, alice, bob)
    stop(recording)
    render_ogg(tmp_path / "call", KEY, tmp_path / "call.ogg")
    octets = (tmp_path / "call.ogg").read_bytes()
    pages = []
    while octets:
        assert octets[:4] == b"OggS"
        position, segments = int.from_bytes(octets[6:14], "little", signed=True), octets[26]
        size = 27 + segments + sum(octets[27 : 27 + segments])
        pages.append((octets[5], position, octets[27 + segments : size]))
        octets = octets[size:]
    assert [flags for flags, _, _ in pages[:1] + pages[-1:]] == [2, 4], "first and last page are marked"
    assert pages[0][2][:10] == b"OpusHead\x01\x02"
    assert pages[1][2][:8] == b"OpusTags"
    skip = int.from_bytes(pages[0][2][10:12], "little")
    assert pages[-1][1] - skip == pytest.approx(72_000, abs=4_800)
    assert 0 < len(pages[2][2]) < 20_000
    with pytest.raises(MediaError):
        render_ogg(tmp_path / "call", bytes(32), tmp_path / "wrong.ogg")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["call", "call.ogg"]


def test_half_a_chunk_at_the_end_is_left_out(engine: MediaEngine, connect: Connect, tmp_path: Path, stop: Stop) -> None:
    from sent.media.engine import open_spool

    alice, a = connect()
    recording = engine.start_recording(tmp_path / "call", KEY, ID, a, a)
    alice.play(tone(440, 2_400))
    converse(2.4, alice)
    stop(recording)
    whole = (tmp_path / "call").read_bytes()
    (tmp_path / "cut").write_bytes(whole[:-7])
    assert open_spool(tmp_path / "cut", KEY, 8_000).info().truncated
    left, _ = read_all(tmp_path / "cut")
    assert len(left) >= 8_000 * 1.3
    assert listen(left).is_tone(440, -13)
    (tmp_path / "cut").write_bytes(whole[:10])
    with pytest.raises(MediaError):
        open_spool(tmp_path / "cut", KEY, 8_000)


CHILD = """
import asyncio, resource, sys
from pathlib import Path
from sent.media.engine import RustEngine
from sent.testing.audio import tone
from sent.testing.rtp_peer import RtpPeer, converse, settings_for

spool, limit = Path(sys.argv[1]), int(sys.argv[2])
if limit:
    resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

async def main():
    engine = RustEngine(25_200, 25_299)
    engine.listen(lambda event: print(event, flush=True))
    phones = []
    for _ in range(2):
        phone = RtpPeer()
        leg, ports = engine.open_rtp("127.0.0.1")
        phone.remote = (ports.address, ports.port)
        engine.configure(leg, settings_for(phone))
        phones.append((phone, leg))
    (alice, a), (bob, b) = phones
    engine.bridge(a, b)
    recording = engine.start_recording(spool, bytes(range(32)), bytes(range(16)), a, b)
    alice.play(tone(440, 60_000))
    bob.play(tone(1000, 60_000))
    for second in range(4 if limit else 60):
        await asyncio.to_thread(converse, 1.0, alice, bob)
        print("second", second + 1, len(bob.received), flush=True)
    engine.stop_recording(recording)
    engine.shut_down()

asyncio.run(main())
"""


def test_a_killed_process_loses_at_most_the_last_second(tmp_path: Path) -> None:
    pytest.importorskip("sent.media._engine", reason="the media extension is not built")
    spool = tmp_path / "call"
    with subprocess.Popen([sys.executable, "-c", CHILD, str(spool), "0"], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            if line.startswith("second 3"):
                break
        child.send_signal(signal.SIGKILL)
    left, right = read_all(spool)
    assert len(left) >= 8_000 * 1.9
    assert listen(left).is_tone(440, -13)
    assert listen(right).is_tone(1000, -13)


def test_a_full_disk_ends_the_recording_and_not_the_call(tmp_path: Path) -> None:
    pytest.importorskip("sent.media._engine", reason="the media extension is not built")
    spool = tmp_path / "call"
    done = subprocess.run(
        [sys.executable, "-c", CHILD, str(spool), "40000"], stdout=subprocess.PIPE, text=True, timeout=20, check=True
    )
    lines = done.stdout.splitlines()
    failures = [line for line in lines if RecordingFailed.__name__ in line]
    assert len(failures) == 1
    assert "File too large" in failures[0]
    assert int(lines[-1].split()[2]) >= 190, "the other side went on hearing"
    assert spool.stat().st_size <= 40_000
    left, right = read_all(spool)
    assert len(left) >= 8_000
    assert listen(left).is_tone(440, -13)
    assert listen(right).is_tone(1000, -13)
