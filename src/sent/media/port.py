"""What the rest of SENT asks of a media engine.

`sent.media.engine.RustEngine` is the real one, `sent.testing.FakeEngine` the one for virtual time. All methods return
at once (the work happens on the engine's own threads), may be called from the event loop, and raise
`MediaError` only for the caller's mistakes and for resources that are used up. Closing is idempotent.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Protocol

from sent.kit.errors import Unavailable
from sent.media.types import (
    EngineHealth,
    LegStatistics,
    MediaEvent,
    MediaLegId,
    PlaybackId,
    RecordingHandle,
    RtpPorts,
    RtpSettings,
    ToneStep,
)


class MediaError(Unavailable):
    """``media.no_ports``, ``media.no_sockets``, ``media.no_such_leg``, ``media.bad_file``, ``media.bad_settings``."""


class MediaEngine(Protocol):
    def open_rtp(self, address: str) -> tuple[MediaLegId, RtpPorts]:
        """Open a socket pair on ``address`` inside the configured port range. Raises ``media.no_ports``."""

    def configure(self, leg: MediaLegId, settings: RtpSettings) -> None:
        """Apply a negotiation. A changed ``remote`` opens the latch again."""

    def open_stream(self, sample_rate: int, max_buffer_ms: int = 2_000) -> MediaLegId:
        """A leg whose audio goes to and comes from Python as 16-bit mono PCM, little endian."""

    def stream_write(self, leg: MediaLegId, pcm: bytes) -> int:
        """Queue audio to play into the bridge. Returns the octets accepted; the rest did not fit the bound."""

    def stream_read(self, leg: MediaLegId, max_octets: int) -> bytes:
        """Audio heard since the last read, oldest first; beyond the bound the oldest is lost (and counted)."""

    def stream_clear(self, leg: MediaLegId) -> None:
        """Drop all that is queued and not yet played. Its marks are reported as reached."""

    def stream_mark(self, leg: MediaLegId, name: str) -> None:
        """Report `MarkReached` when everything written before it has been played."""

    def bridge(self, a: MediaLegId, b: MediaLegId) -> None:
        """Each hears the other. ``a == b`` is an echo. Same codec on both: payloads pass undecoded."""

    def unbridge(self, leg: MediaLegId) -> None:
        """Take a leg out of its bridge; its partner then hears nothing but what is played to it."""

    def play_file(self, leg: MediaLegId, file: Path, *, loop: bool = False) -> PlaybackId:
        """Play a WAV file (16-bit PCM, any rate, first channel) to ``leg`` instead of its bridge.

        A new playback replaces the one that runs.
        """

    def play_tone(self, leg: MediaLegId, steps: tuple[ToneStep, ...], *, loop: bool = False) -> PlaybackId: ...

    def stop_playback(self, leg: MediaLegId) -> None: ...

    def send_digits(self, leg: MediaLegId, digits: str, duration_ms: int = 100, gap_ms: int = 60) -> None:
        """Send RFC 4733 events. Raises ``media.bad_settings`` when telephone-event was not negotiated."""

    def start_recording(
        self, file: Path, key: bytes, recording_id: bytes, left: MediaLegId, right: MediaLegId
    ) -> RecordingHandle:
        """Write what both legs *receive* to a new spool ``file``, encrypted with the 32-octet ``key``.

        ``recording_id`` (16 octets) is bound into every chunk. A full disk ends the recording with
        `RecordingFailed` and leaves what was written.
        """

    def stop_recording(self, recording: RecordingHandle) -> None:
        """Flush and close, without waiting for the disk: `RecordingClosed` says when the file is whole."""

    def statistics(self, leg: MediaLegId) -> LegStatistics: ...

    def close(self, leg: MediaLegId) -> LegStatistics:
        """Release sockets and buffers; the last statistics. Closing twice returns empty statistics."""

    def listen(self, sink: Callable[[MediaEvent], None]) -> None:
        """Deliver events to ``sink`` on the running event loop, in order."""

    def health(self) -> EngineHealth: ...

    def shut_down(self) -> None:
        """Close every leg and recording and end the threads, within two seconds."""
