"""What a reader of a recording's spool file gives. `sent.media.engine` implements it over the Rust reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class SpoolInfo:
    """``truncated``: the file ends inside a chunk (a crash or a full disk); all whole chunks are readable."""

    recording_id: bytes
    duration_ms: int
    truncated: bool
    started_unix_ms: int


class SpoolReader(Protocol):
    """Decodes a recording to stereo PCM on the RTP clock: gaps kept, left and right aligned."""

    def info(self) -> SpoolInfo: ...

    def read(self, max_frames: int) -> bytes:
        """Interleaved 16-bit little-endian stereo frames at the rate asked for; empty at the end."""

    def close(self) -> None: ...
