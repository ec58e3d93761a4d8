"""The Rust engine behind `sent.media.port.MediaEngine`; the only file that imports the extension.

Most calls wait for a media thread to do the work: measured on two busy cores 0.04 ms in the middle and 1.7 ms, the nap
of a media thread, at the 99th percentile. The stream calls take a lock for less. None waits for a recording's disk.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from sent.media import _engine
from sent.media.port import MediaError
from sent.media.spool import SpoolInfo, SpoolReader
from sent.media.types import (
    Codec,
    Digit,
    EngineHealth,
    LegStatistics,
    MarkReached,
    MediaEvent,
    MediaLegId,
    MediaResumed,
    PlaybackEnded,
    PlaybackId,
    RecordingClosed,
    RecordingFailed,
    RecordingHandle,
    RtpPorts,
    RtpSettings,
    Silence,
    SrtpKey,
    StreamReadable,
    ToneStep,
)

_T = TypeVar("_T")

_EVENTS: dict[str, Callable[[int, str, int], MediaEvent]] = {
    "digit": lambda leg, text, ms: Digit(MediaLegId(leg), text, ms),
    "playback_completed": lambda leg, _, playback: PlaybackEnded(MediaLegId(leg), PlaybackId(playback), True),
    "playback_stopped": lambda leg, _, playback: PlaybackEnded(MediaLegId(leg), PlaybackId(playback), False),
    "silence": lambda leg, _, ms: Silence(MediaLegId(leg), ms),
    "resumed": lambda leg, _text, _number: MediaResumed(MediaLegId(leg)),
    "mark": lambda leg, name, _: MarkReached(MediaLegId(leg), name),
    "readable": lambda leg, _text, _number: StreamReadable(MediaLegId(leg)),
    "recording_closed": lambda recording, _text, _number: RecordingClosed(RecordingHandle(recording)),
    "recording_failed": lambda recording, error, _: RecordingFailed(RecordingHandle(recording), error),
}


def _call(function: Callable[..., _T], *arguments: object) -> _T:
    try:
        return function(*arguments)
    except _engine.EngineError as error:
        code, message = error.args
        raise MediaError(code, message) from error
    except OverflowError as error:
        raise MediaError("media.bad_settings", f"A number is out of range for the media engine: {error}.") from error


class RustEngine:
    """``first_port`` to ``last_port``: UDP ports for RTP and RTCP, two for each leg.

    ``threads``: None for one per core, at most four. ``setting`` names the ports' setting in the error when all are in
    use. The owner calls `shut_down` when it ends.
    """

    def __init__(
        self, first_port: int, last_port: int, threads: int | None = None, setting: str = "the media port range"
    ) -> None:
        self._engine = _call(_engine.Engine, first_port, last_port, threads)
        self._no_ports = f"All UDP ports from {first_port} to {last_port} are in use; widen {setting}."
        self._loop: asyncio.AbstractEventLoop | None = None
        self._sink: Callable[[MediaEvent], None] | None = None
        self._closed = False

    def open_rtp(self, address: str) -> tuple[MediaLegId, RtpPorts]:
        try:
            leg, bound, port = _call(self._engine.open_rtp, address)
        except MediaError as error:
            if error.code == "media.no_ports":
                raise MediaError(error.code, self._no_ports) from error
            raise
        return MediaLegId(leg), RtpPorts(bound, port, port + 1)

    def configure(self, leg: MediaLegId, settings: RtpSettings) -> None:
        _call(
            self._engine.configure,
            leg,
            {
                "receive": [_codec(codec) for codec in settings.receive],
                "send": _codec(settings.send),
                "remote": settings.remote,
                "remote_rtcp": settings.remote_rtcp,
                "rtcp_mux": settings.rtcp_mux,
                "latch_from": settings.latch_from,
                "dtmf_receive": settings.dtmf_receive,
                "dtmf_send": settings.dtmf_send,
                "dtmf_clock": settings.dtmf_clock,
                "packet_ms": settings.packet_ms,
                "may_send": settings.may_send,
                "may_receive": settings.may_receive,
                "local_srtp": _srtp(settings.local_srtp),
                "remote_srtp": _srtp(settings.remote_srtp),
                "silence_ms": settings.silence_ms,
            },
        )

    def open_stream(self, sample_rate: int, max_buffer_ms: int = 2_000) -> MediaLegId:
        return MediaLegId(_call(self._engine.open_stream, sample_rate, max_buffer_ms))

    def stream_write(self, leg: MediaLegId, pcm: bytes) -> int:
        return _call(self._engine.stream_write, leg, pcm)

    def stream_read(self, leg: MediaLegId, max_octets: int) -> bytes:
        return _call(self._engine.stream_read, leg, max_octets)

    def stream_clear(self, leg: MediaLegId) -> None:
        _call(self._engine.stream_clear, leg)

    def stream_mark(self, leg: MediaLegId, name: str) -> None:
        _call(self._engine.stream_mark, leg, name)

    def bridge(self, a: MediaLegId, b: MediaLegId) -> None:
        _call(self._engine.bridge, a, b)

    def unbridge(self, leg: MediaLegId) -> None:
        _call(self._engine.unbridge, leg)

    def play_file(self, leg: MediaLegId, file: Path, *, loop: bool = False) -> PlaybackId:
        return PlaybackId(_call(self._engine.play_file, leg, file, loop))

    def play_tone(self, leg: MediaLegId, steps: tuple[ToneStep, ...], *, loop: bool = False) -> PlaybackId:
        plain = [(step.frequencies, step.ms, step.level_dbm0) for step in steps]
        return PlaybackId(_call(self._engine.play_tone, leg, plain, loop))

    def stop_playback(self, leg: MediaLegId) -> None:
        _call(self._engine.stop_playback, leg)

    def send_digits(self, leg: MediaLegId, digits: str, duration_ms: int = 100, gap_ms: int = 60) -> None:
        _call(self._engine.send_digits, leg, digits, duration_ms, gap_ms)

    def start_recording(
        self, file: Path, key: bytes, recording_id: bytes, left: MediaLegId, right: MediaLegId
    ) -> RecordingHandle:
        return RecordingHandle(_call(self._engine.start_recording, file, key, recording_id, left, right))

    def stop_recording(self, recording: RecordingHandle) -> None:
        if not self._closed:
            _call(self._engine.stop_recording, recording)

    def statistics(self, leg: MediaLegId) -> LegStatistics:
        return _statistics(_call(self._engine.statistics, leg))

    def close(self, leg: MediaLegId) -> LegStatistics:
        if self._closed:
            return LegStatistics()
        return _statistics(_call(self._engine.close, leg))

    def listen(self, sink: Callable[[MediaEvent], None]) -> None:
        """A second call replaces the sink (and the loop, when another one runs)."""
        self._stop_listening()
        self._sink = sink
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(_call(self._engine.fileno), self._deliver)

    def health(self) -> EngineHealth:
        health = _call(self._engine.health)
        return EngineHealth(
            legs=health.legs,
            sockets=health.sockets,
            threads=health.threads,
            late_p50_ms=health.late_p50_ms,
            late_p99_ms=health.late_p99_ms,
            late_max_ms=health.late_max_ms,
            recordings=health.recordings,
            counters=dict(health.counters),
        )

    def shut_down(self) -> None:
        self._closed = True
        self._stop_listening()
        self._engine.shut_down()

    def _stop_listening(self) -> None:
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(_call(self._engine.fileno))
        self._loop = None

    def _deliver(self) -> None:
        if self._loop is None or self._sink is None:
            return
        for kind, owner, text, number in self._engine.drain_events():
            # One turn of the loop for each, so that a sink that raises takes no other event with it.
            self._loop.call_soon(self._sink, _EVENTS[kind](owner, text, number))


class RustSpoolReader:
    """`sent.media.spool.SpoolReader` over the engine's reader. Closed, it reads as at its end."""

    def __init__(self, file: Path, key: bytes, sample_rate: int) -> None:
        self._reader = _call(_engine.SpoolReader, file, key, sample_rate)

    def info(self) -> SpoolInfo:
        recording_id, duration_ms, truncated, started_unix_ms = self._reader.info()
        return SpoolInfo(recording_id, duration_ms, truncated, started_unix_ms)

    def read(self, max_frames: int) -> bytes:
        return _call(self._reader.read, max_frames)

    def close(self) -> None:
        self._reader.close()


def open_spool(file: Path, key: bytes, sample_rate: int) -> SpoolReader:
    """Read a recording at 8000, 16000, 24000 or 48000 Hz.

    Raises ``media.bad_file`` for what is no recording, has been changed or has another key. Decoding takes time (a
    minute of G.711 some tens of milliseconds): keep it off the event loop.
    """
    return RustSpoolReader(file, key, sample_rate)


def render_ogg(file: Path, key: bytes, out: Path) -> None:
    """Write a recording to ``out`` as stereo Ogg Opus, whole or not at all. Off the event loop, like `open_spool`.

    Raises ``media.bad_file`` for a recording that cannot be read, or an ``out`` that cannot be written.
    """
    _call(_engine.render_ogg, file, key, out)


def _codec(codec: Codec) -> tuple[int, str, int, int, str]:
    return codec.payload_type, codec.name, codec.clock_rate, codec.channels, codec.fmtp


def _srtp(key: SrtpKey | None) -> tuple[str, bytes] | None:
    return None if key is None else (key.suite.value, key.key_salt)


def _statistics(given: _engine.Statistics) -> LegStatistics:
    return LegStatistics(
        packets_sent=given.packets_sent,
        packets_received=given.packets_received,
        bytes_sent=given.bytes_sent,
        bytes_received=given.bytes_received,
        packets_lost=given.packets_lost,
        packets_discarded=given.packets_discarded,
        concealed_ms=given.concealed_ms,
        loss_percent=given.loss_percent,
        remote_loss_percent=given.remote_loss_percent,
        jitter_ms=given.jitter_ms,
        round_trip_ms=given.round_trip_ms,
        buffer_delay_ms=given.buffer_delay_ms,
        r_factor=given.r_factor,
        mos=given.mos,
        model=given.model,
        strangers=given.strangers,
        srtp_failures=given.srtp_failures,
        malformed=given.malformed,
        unexpected=given.unexpected,
        remote=given.remote,
        transcoded=given.transcoded,
    )
