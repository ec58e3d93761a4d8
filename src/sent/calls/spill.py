"""The local file that keeps call records while the database cannot: JSON lines, synced, for the owner's eyes only.

Appending and reading block on the disk; call them in a thread. A line that a crash cut short is skipped when read.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

import msgspec
import structlog

from sent.calls.models import CallRecord

log = structlog.get_logger("sent.calls")

MAX_OCTETS = 512 * 1024 * 1024
_MODE = 0o600


class Spill:
    """``calls.jsonl`` in ``folder`` grows; a replay renames it to ``calls.replay.jsonl``, deleted at its end."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "calls.jsonl"
        self._replay = folder / "calls.replay.jsonl"
        self._refused = folder / "calls.refused.jsonl"
        self._encoder = msgspec.json.Encoder()
        self._decoder = msgspec.json.Decoder(CallRecord)

    def prepare(self) -> None:
        self._file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)

    def is_empty(self) -> bool:
        return not (self._file.exists() or self._replay.exists())

    def append(self, records: Sequence[CallRecord]) -> int:
        """Write and sync. Returns how many were kept: none beyond `MAX_OCTETS`. Raises `OSError`."""
        return self._append(self._file, records)

    def refuse(self, records: Sequence[CallRecord]) -> int:
        """Put aside what the database will never take, for a person to look at."""
        return self._append(self._refused, records)

    def _append(self, file: Path, records: Sequence[CallRecord]) -> int:
        descriptor = os.open(file, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, _MODE)
        with os.fdopen(descriptor, "ab") as stream:
            size = stream.tell()
            kept = 0
            for record in records:
                line = self._encoder.encode(record) + b"\n"
                size += len(line)
                if size > MAX_OCTETS:
                    break
                stream.write(line)
                kept += 1
            stream.flush()
            os.fsync(stream.fileno())
        return kept

    def begin_replay(self) -> bool:
        """Set aside what is there to be read; what comes now goes to a new file. False when there is nothing."""
        if not self._replay.exists():
            if not self._file.exists():
                return False
            self._file.rename(self._replay)
        return True

    def read(self) -> Iterator[CallRecord]:
        """The records that were set aside, in the order of writing."""
        with self._replay.open("rb") as stream:
            for number, line in enumerate(stream, 1):
                try:
                    yield self._decoder.decode(line)
                except msgspec.MsgspecError as error:
                    log.warning("calls.spill_line_skipped", line=number, error=str(error))

    def end_replay(self) -> None:
        self._replay.unlink(missing_ok=True)
