"""The spool: a local folder with, for each recording, the engine's file and a ticket beside it.

    <recording id>.spool     written by the media engine, encrypted with the data key
    <recording id>.ticket    JSON: whose it is, and the data key sealed under the master key
    <process id>.lock        held (flock) by a living process; tickets name it as their owner

The ticket is on the disk before the engine writes a sample, so what a process recorded can be read after it was
killed, also when the database was away the whole time. It goes when the recording is in the file store: the
file first and then the ticket, so there is never a file without its key. These functions block; call
them off the event loop.
"""

from __future__ import annotations

import base64
import contextlib
import fcntl
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from uuid import UUID, uuid4

from sent.infra.telemetry import get_logger
from sent.infra.vault import MasterKeys, VaultError
from sent.recordings.models import RecordingTicket

log = get_logger(__name__)

_PURPOSE = "recording-spool"
_VERSION = 1


@dataclass(frozen=True, slots=True)
class SpoolEntry:
    """A ticket and what is known of its end. ``ended_at`` None: still recording, or its process died."""

    ticket: RecordingTicket
    owner: str
    ended_at: datetime | None = None
    error: str | None = None


class Spool:
    """Open it once per process; ``close`` lets another process take over what is left."""

    def __init__(self, folder: Path, master: MasterKeys) -> None:
        self.folder = folder
        self.owner = str(uuid4())
        self._master = master
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._lock = _lock(self._lock_path(self.owner))
        if self._lock is None:
            raise FileExistsError(self._lock_path(self.owner))

    def close(self) -> None:
        if self._lock is not None:
            self._lock_path(self.owner).unlink(missing_ok=True)
            os.close(self._lock)
            self._lock = None

    def file(self, recording_id: UUID) -> Path:
        return self.folder / f"{recording_id}.spool"

    def free_octets(self) -> int:
        disk = os.statvfs(self.folder)
        return disk.f_bavail * disk.f_frsize

    def write(self, entry: SpoolEntry) -> None:
        """Durable and whole when this returns; replaces the ticket that was there."""
        ticket = entry.ticket
        sealed = self._master.seal(_PURPOSE, _place(ticket.id, ticket.organization_id), ticket.key)
        text = json.dumps(
            {
                "version": _VERSION,
                "id": str(ticket.id),
                "organization_id": str(ticket.organization_id),
                "call_id": str(ticket.call_id),
                "started_at": ticket.started_at.isoformat(),
                "owner": entry.owner,
                "sealed_key": base64.b64encode(sealed).decode(),
                "ended_at": entry.ended_at and entry.ended_at.isoformat(),
                "error": entry.error,
            }
        )
        path = self._ticket_path(ticket.id)
        draft = path.with_suffix(".draft")
        descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600)
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
                file.flush()
                os.fsync(file.fileno())
            draft.replace(path)
        except OSError:
            draft.unlink(missing_ok=True)
            raise
        self._sync()

    def read(self, recording_id: UUID) -> SpoolEntry | None:
        """Raises `VaultError` when the master key is not the one that sealed it, ValueError when it is damaged."""
        try:
            fields = json.loads(self._ticket_path(recording_id).read_text(encoding="utf-8"))
        except FileNotFoundError:
            return None
        if fields["version"] != _VERSION:
            raise ValueError(f"The ticket's version {fields['version']} is not known; a newer SENT wrote it.")
        organization_id = UUID(fields["organization_id"])
        sealed = base64.b64decode(fields["sealed_key"])
        ticket = RecordingTicket(
            id=recording_id,
            organization_id=organization_id,
            call_id=UUID(fields["call_id"]),
            started_at=datetime.fromisoformat(fields["started_at"]),
            file=self.file(recording_id),
            key=self._master.open(_PURPOSE, _place(recording_id, organization_id), sealed),
        )
        ended_at = fields["ended_at"] and datetime.fromisoformat(fields["ended_at"])
        return SpoolEntry(ticket, str(UUID(fields["owner"])), ended_at, fields["error"])

    def has_ticket(self, recording_id: UUID) -> bool:
        return self._ticket_path(recording_id).exists()

    def entries(self) -> Iterator[SpoolEntry]:
        """All tickets that can be read. One that cannot stays, with its file, and is named in the log."""
        for path in sorted(self.folder.glob("*.ticket")):
            try:
                entry = self.read(UUID(path.stem))
            except VaultError as error:
                log.error("recordings.ticket_sealed", recording_id=path.stem, code=error.code, error=error.message)
            except (ValueError, KeyError, TypeError) as error:
                log.error("recordings.ticket_damaged", recording_id=path.stem, error=str(error))
            else:
                if entry is not None:
                    yield entry

    def adopt_orphans(self) -> Iterator[SpoolEntry]:
        """Take over the tickets of processes that are dead; each is ours when it is yielded."""
        for entry in self.entries():
            if not self._lives(entry.owner):
                adopted = replace(entry, owner=self.owner)
                self.write(adopted)
                yield adopted
        for path in self.folder.glob("*.lock"):
            if not self._lives(path.stem):
                path.unlink(missing_ok=True)

    def own(self) -> Iterator[SpoolEntry]:
        return (entry for entry in self.entries() if entry.owner == self.owner)

    def remove(self, recording_id: UUID) -> None:
        self.file(recording_id).unlink(missing_ok=True)
        self._sync()
        self._ticket_path(recording_id).unlink(missing_ok=True)

    def _lives(self, owner: str) -> bool:
        if owner == self.owner:
            return True
        with contextlib.suppress(FileNotFoundError):
            lock = _lock(self._lock_path(owner), create=False)
            if lock is None:
                return True
            os.close(lock)
        return False

    def _ticket_path(self, recording_id: UUID) -> Path:
        return self.folder / f"{recording_id}.ticket"

    def _lock_path(self, owner: str) -> Path:
        return self.folder / f"{UUID(owner)}.lock"

    def _sync(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _place(recording_id: UUID, organization_id: UUID) -> bytes:
    return organization_id.bytes + recording_id.bytes


def _lock(path: Path, *, create: bool = True) -> int | None:
    """A descriptor that holds the lock, or None when a living process does. Not inherited by child processes."""
    descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    return descriptor
