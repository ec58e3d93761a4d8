"""`FakeEngine`: the media engine of call scenarios on virtual time. No audio, but who hears whom, by label.

It refuses what the real one refuses (tests/unit/media/test_media_port.py holds both to the same cases), keeps every
command, and lets a test play the peer: press digits, fall silent, end a playback, fail a recording.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from ipaddress import ip_address
from pathlib import Path

from sent.media.port import MediaError
from sent.media.types import (
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
    StreamReadable,
    ToneStep,
)

_DIGITS = frozenset("0123456789*#ABCD")
_STREAM_RATES = (8_000, 16_000, 24_000, 48_000)


@dataclass(slots=True)
class FakePlayback:
    playback: PlaybackId
    label: str
    """``file hold.wav``, ``tone 425``, ``tone 350+440``; what the leg hears meanwhile."""
    loop: bool
    timer: asyncio.TimerHandle | None = None


@dataclass(slots=True)
class FakeLeg:
    """One leg as the test sees it."""

    leg: MediaLegId
    ports: RtpPorts | None = None
    """None for a stream leg."""
    sample_rate: int = 0
    max_octets: int = 0
    settings: RtpSettings | None = None
    partner: MediaLegId | None = None
    playback: FakePlayback | None = None
    written: bytearray = field(default_factory=bytearray)
    """Stream legs: queued by the program, not yet played."""
    heard: bytearray = field(default_factory=bytearray)
    """Stream legs: what the program may read; filled by `FakeEngine.hear`."""
    marks: list[tuple[int, str]] = field(default_factory=list)
    played: int = 0
    """Octets of ``written`` that were played before what waits now."""
    digits_sent: str = ""
    statistics: LegStatistics = field(default_factory=LegStatistics)
    """What `statistics` and `close` return; a test may set it."""


@dataclass(slots=True)
class FakeRecording:
    recording: RecordingHandle
    file: Path
    recording_id: bytes
    left: MediaLegId
    right: MediaLegId
    running: bool = True
    failed: bool = False


class FakeEngine:
    """Implements `sent.media.port.MediaEngine`. Timers run on the running loop, so a virtual loop makes them virtual.

    ``pairs``: how many RTP legs may be open at once. ``files``: the length in ms of files that can be played; a path
    that is in neither this nor the file system is refused, one that is only in the file system plays for a second.
    """

    def __init__(self, pairs: int = 1_000) -> None:
        self.commands: list[tuple[str, tuple[object, ...]]] = []
        """Every command in order: (method, arguments without ``self``)."""
        self.legs: dict[MediaLegId, FakeLeg] = {}
        self.closed: dict[MediaLegId, FakeLeg] = {}
        self.recordings: dict[RecordingHandle, FakeRecording] = {}
        self.files: dict[Path, int] = {}
        self.events: list[MediaEvent] = []
        """Everything that was reported, in order."""
        self.disk_answers = True
        """False: the files of stopped recordings are never reported as closed."""
        self._pairs = pairs
        self._last_id = 0
        self._sink: Callable[[MediaEvent], None] | None = None
        self._unheard: list[MediaEvent] = []
        self._shut = False

    # What a test asks.

    def hears(self, leg: MediaLegId) -> str | None:
        """What the peer of ``leg`` hears now: a playback's label, ``leg N`` for its partner, or None for silence."""
        one = self._leg(leg)
        if one.settings is not None and not one.settings.may_send:
            return None
        if one.playback is not None:
            return one.playback.label
        partner = None if one.partner is None else self.legs.get(one.partner)
        if partner is None or (partner.settings is not None and not partner.settings.may_receive):
            return None
        if partner.ports is None and not partner.written:
            return None
        return f"leg {partner.leg}"

    def named(self, command: str) -> list[tuple[object, ...]]:
        """The arguments of all commands of one name."""
        return [arguments for name, arguments in self.commands if name == command]

    def check_released(self) -> None:
        """Every leg is closed, every recording stopped: what must hold when the last call has ended."""
        running = [one.file.name for one in self.recordings.values() if one.running]
        assert not self.legs, f"legs left open: {sorted(self.legs)}"
        assert not running, f"recordings left running: {running}"

    # What a test makes happen.

    def inject(self, event: MediaEvent) -> None:
        """Report ``event`` on the loop, after those that wait."""
        self.events.append(event)
        if self._sink is None:
            self._unheard.append(event)
        else:
            asyncio.get_running_loop().call_soon(self._sink, event)

    def press(self, leg: MediaLegId, digits: str, duration_ms: int = 100) -> None:
        """The peer of ``leg`` presses these."""
        self._leg(leg)
        for digit in digits:
            self.inject(Digit(leg, digit, duration_ms))

    def fall_silent(self, leg: MediaLegId, ms: int) -> None:
        self._leg(leg)
        self.inject(Silence(leg, ms))

    def resume(self, leg: MediaLegId) -> None:
        self._leg(leg)
        self.inject(MediaResumed(leg))

    def finish_playback(self, leg: MediaLegId) -> None:
        """What plays to ``leg`` has come to its end."""
        self._end_playback(self._leg(leg), completed=True)

    def fail_recording(self, recording: RecordingHandle, error: str = "No space left on device") -> None:
        one = self.recordings[recording]
        one.running, one.failed = False, True
        self.inject(RecordingFailed(recording, error))

    def hear(self, leg: MediaLegId, pcm: bytes) -> None:
        """A stream leg hears this from its bridge."""
        one = self._stream(leg)
        if not one.heard:
            self.inject(StreamReadable(leg))
        one.heard.extend(pcm)
        del one.heard[: max(len(one.heard) - one.max_octets, 0)]

    def play_out(self, leg: MediaLegId, octets: int) -> bytes:
        """So much of what the program wrote to a stream leg has been heard by its partner; returned."""
        one = self._stream(leg)
        taken = bytes(one.written[:octets])
        del one.written[:octets]
        one.played += len(taken)
        self._reach_marks(one)
        return taken

    # The port.

    def open_rtp(self, address: str) -> tuple[MediaLegId, RtpPorts]:
        self._note("open_rtp", address)
        try:
            ip_address(address)
        except ValueError as error:
            raise MediaError("media.bad_settings", f"{address!r} is no IP address.") from error
        taken = {one.ports.port for one in self.legs.values() if one.ports is not None}
        free = (port for port in range(30_000, 30_000 + 2 * self._pairs, 2) if port not in taken)
        port = next(free, None)
        if port is None:
            raise MediaError("media.no_ports", "All UDP ports are in use; widen the media port range.")
        leg = MediaLegId(self._next())
        ports = RtpPorts(address, port, port + 1)
        self.legs[leg] = FakeLeg(leg, ports)
        return leg, ports

    def configure(self, leg: MediaLegId, settings: RtpSettings) -> None:
        self._note("configure", leg, settings)
        one = self._leg(leg)
        if one.ports is None:
            raise MediaError("media.bad_settings", f"Media leg {leg} is a stream, not RTP.")
        one.settings = settings

    def open_stream(self, sample_rate: int, max_buffer_ms: int = 2_000) -> MediaLegId:
        self._note("open_stream", sample_rate, max_buffer_ms)
        if sample_rate not in _STREAM_RATES:
            raise MediaError("media.bad_settings", f"A stream runs at one of {_STREAM_RATES} Hz, not {sample_rate}.")
        leg = MediaLegId(self._next())
        octets = 2 * sample_rate // 1_000 * max_buffer_ms
        self.legs[leg] = FakeLeg(leg, sample_rate=sample_rate, max_octets=octets)
        return leg

    def stream_write(self, leg: MediaLegId, pcm: bytes) -> int:
        self._note("stream_write", leg, pcm)
        one = self._stream(leg)
        accepted = min(len(pcm), one.max_octets - len(one.written)) & ~1
        one.written.extend(pcm[:accepted])
        return accepted

    def stream_read(self, leg: MediaLegId, max_octets: int) -> bytes:
        one = self._stream(leg)
        taken = bytes(one.heard[: max_octets & ~1])
        del one.heard[: len(taken)]
        return taken

    def stream_clear(self, leg: MediaLegId) -> None:
        self._note("stream_clear", leg)
        one = self._stream(leg)
        one.played += len(one.written)
        one.written.clear()
        self._reach_marks(one)

    def stream_mark(self, leg: MediaLegId, name: str) -> None:
        self._note("stream_mark", leg, name)
        one = self._stream(leg)
        one.marks.append((one.played + len(one.written), name))
        self._reach_marks(one)

    def bridge(self, a: MediaLegId, b: MediaLegId) -> None:
        self._note("bridge", a, b)
        one, other = self._leg(a), self._leg(b)
        self._part(one)
        self._part(other)
        one.partner, other.partner = b, a

    def unbridge(self, leg: MediaLegId) -> None:
        self._note("unbridge", leg)
        self._part(self._leg(leg))

    def play_file(self, leg: MediaLegId, file: Path, *, loop: bool = False) -> PlaybackId:
        self._note("play_file", leg, file, loop)
        if file not in self.files and not file.is_file():
            raise MediaError("media.bad_file", f"{file}: No such file or directory.")
        return self._play(leg, f"file {file.name}", self.files.get(file, 1_000), loop)

    def play_tone(self, leg: MediaLegId, steps: tuple[ToneStep, ...], *, loop: bool = False) -> PlaybackId:
        self._note("play_tone", leg, steps, loop)
        sounding = next((step.frequencies for step in steps if step.frequencies), ())
        label = "tone " + "+".join(f"{frequency:g}" for frequency in sounding)
        return self._play(leg, label, sum(step.ms for step in steps), loop)

    def stop_playback(self, leg: MediaLegId) -> None:
        self._note("stop_playback", leg)
        self._end_playback(self._leg(leg), completed=False)

    def send_digits(self, leg: MediaLegId, digits: str, duration_ms: int = 100, gap_ms: int = 60) -> None:
        self._note("send_digits", leg, digits, duration_ms, gap_ms)
        one = self._leg(leg)
        if one.settings is None or one.settings.dtmf_send is None:
            raise MediaError("media.bad_settings", "The peer did not negotiate telephone-event (RFC 4733).")
        if not set(digits) <= _DIGITS:
            raise MediaError("media.bad_settings", "Digits are 0-9, *, # and A-D.")
        one.digits_sent += digits

    def start_recording(
        self, file: Path, key: bytes, recording_id: bytes, left: MediaLegId, right: MediaLegId
    ) -> RecordingHandle:
        self._note("start_recording", file, recording_id, left, right)
        if len(key) != 32 or len(recording_id) != 16:
            raise MediaError("media.bad_settings", "A recording's key has 32 octets and its id 16.")
        self._leg(left)
        self._leg(right)
        if any(one.file == file for one in self.recordings.values()):
            raise MediaError("media.bad_file", f"{file}: File exists.")
        recording = RecordingHandle(self._next())
        self.recordings[recording] = FakeRecording(recording, file, recording_id, left, right)
        return recording

    def stop_recording(self, recording: RecordingHandle) -> None:
        self._note("stop_recording", recording)
        one = self.recordings.get(recording)
        if one is not None and one.running:
            one.running = False
            if self.disk_answers:
                self.inject(RecordingClosed(recording))

    def statistics(self, leg: MediaLegId) -> LegStatistics:
        return self._leg(leg).statistics

    def close(self, leg: MediaLegId) -> LegStatistics:
        self._note("close", leg)
        if leg not in self.legs:
            return LegStatistics()
        one = self.legs[leg]
        self._end_playback(one, completed=False)
        self._part(one)
        self.closed[leg] = self.legs.pop(leg)
        return one.statistics

    def listen(self, sink: Callable[[MediaEvent], None]) -> None:
        self._sink = sink
        waiting, self._unheard = self._unheard, []
        for event in waiting:
            asyncio.get_running_loop().call_soon(sink, event)

    def health(self) -> EngineHealth:
        sockets = 2 * sum(1 for one in self.legs.values() if one.ports is not None)
        running = sum(1 for one in self.recordings.values() if one.running)
        return EngineHealth(len(self.legs), sockets, 0 if self._shut else 1, 0.0, 0.0, 0.0, running)

    def shut_down(self) -> None:
        self._note("shut_down")
        self._sink = None
        for leg in list(self.legs):
            self.close(leg)
        for recording in self.recordings.values():
            recording.running = False
        self._shut = True

    def _note(self, name: str, *arguments: object) -> None:
        self.commands.append((name, arguments))

    def _next(self) -> int:
        if self._shut:
            raise MediaError("media.no_answer", "The engine has been shut down.")
        self._last_id += 1
        return self._last_id

    def _leg(self, leg: MediaLegId) -> FakeLeg:
        if leg not in self.legs:
            raise MediaError("media.no_such_leg", f"There is no media leg {leg}; it may have been closed.")
        return self.legs[leg]

    def _stream(self, leg: MediaLegId) -> FakeLeg:
        one = self._leg(leg)
        if one.ports is not None:
            raise MediaError("media.no_such_leg", f"Media leg {leg} is RTP, not a stream.")
        return one

    def _part(self, one: FakeLeg) -> None:
        if one.partner is not None and one.partner in self.legs:
            self.legs[one.partner].partner = None
        one.partner = None

    def _play(self, leg: MediaLegId, label: str, ms: int, loop: bool) -> PlaybackId:
        one = self._leg(leg)
        self._end_playback(one, completed=False)
        playback = FakePlayback(PlaybackId(self._next()), label, loop)
        one.playback = playback
        if not loop:
            try:
                running = asyncio.get_running_loop()
            except RuntimeError:
                return playback.playback  # No loop, no time: the test ends it with `finish_playback`.
            playback.timer = running.call_later(ms / 1_000, self._end_playback, one, True)
        return playback.playback

    def _end_playback(self, one: FakeLeg, completed: bool) -> None:
        playback, one.playback = one.playback, None
        if playback is None:
            return
        if playback.timer is not None:
            playback.timer.cancel()
        self.inject(PlaybackEnded(one.leg, playback.playback, completed))

    def _reach_marks(self, one: FakeLeg) -> None:
        while one.marks and one.marks[0][0] <= one.played:
            self.inject(MarkReached(one.leg, one.marks.pop(0)[1]))
