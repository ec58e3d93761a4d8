"""Find recordings, and render one to a file that any player understands.

Every export is in the audit log before the first octet is readable. Nothing that was rendered is kept: a cache would be
a second, unencrypted copy that retention has to find.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import wave
from collections.abc import Callable
from enum import StrEnum
from pathlib import Path
from uuid import UUID

from sent.infra.audit import record
from sent.infra.db import Actor, Database
from sent.infra.storage import Store
from sent.infra.vault import Vault
from sent.kit.errors import SentError
from sent.recordings import repository
from sent.recordings.errors import BadFormat, RecordingNotFound, RecordingNotReady
from sent.recordings.models import Recording, RecordingState, key_context
from sent.recordings.spool import Spool
from sent.recordings.storing import OpenSpool

RenderOgg = Callable[[Path, bytes, Path], None]
"""Spool file, data key, where to write. Blocks. Raises `SentError`."""

SAMPLE_RATE = 16_000
"""Of WAV files: what speech in Opus and G.722 has; G.711 loses nothing by it."""
_FRAMES_PER_READ = 16_000
_AT_ONCE = 2


class ExportFormat(StrEnum):
    WAV = "wav"
    OGG = "ogg"


class Exports:
    """``spool`` is None where this process records nothing (a command): then only the file store is looked at."""

    def __init__(
        self,
        database: Database,
        vault: Vault,
        store: Store,
        open_spool: OpenSpool,
        *,
        spool: Spool | None = None,
        render_ogg: RenderOgg | None = None,
    ) -> None:
        self._database = database
        self._vault = vault
        self._store = store
        self._open_spool = open_spool
        self._spool = spool
        self._render_ogg = render_ogg
        self._slots = asyncio.Semaphore(_AT_ONCE)

    async def of_call(self, organization_id: UUID, actor: Actor, call_id: UUID) -> list[Recording]:
        async with self._database.transaction(organization_id, actor) as conn:
            return await repository.read_of_call(conn, call_id)

    async def latest(self, organization_id: UUID, actor: Actor, limit: int = 50) -> list[Recording]:
        async with self._database.transaction(organization_id, actor) as conn:
            return await repository.read_latest(conn, min(limit, 1_000))

    async def export(
        self, organization_id: UUID, actor: Actor, recording_id: UUID, form: ExportFormat, out: Path
    ) -> Recording:
        """Write a stereo file (left: the caller) to ``out``, mode 0600, whole or not at all.

        Raises `RecordingNotFound`, `RecordingNotReady`, `BadFormat`, `VaultError`, or what the file store says.
        """
        if form is ExportFormat.OGG and self._render_ogg is None:
            raise BadFormat("recording.format", "This server cannot write Ogg files. Export as wav.")
        async with self._database.transaction(organization_id, actor) as conn:
            recording = await repository.read(conn, recording_id)
            if recording is None:
                raise RecordingNotFound("recording.not_found", f"There is no recording {recording_id}.")
            _check_ready(recording)
            assert recording.sealed_key is not None, "only an expired recording has no key"
            key = await self._vault.open(conn, organization_id, key_context(recording_id), recording.sealed_key)
            await record(conn, "recording.export", f"recordings/{recording_id}", {"format": str(form)})
        async with self._slots:
            try:
                await self._write_out(recording, form, key, out)
            except (OSError, SentError):
                # It may have been moved from the spool to the file store in this moment.
                async with self._database.transaction(organization_id, actor) as conn:
                    moved = await repository.read(conn, recording_id)
                if recording.store_key is not None or moved is None or moved.store_key is None:
                    raise
                recording = moved
                await self._write_out(recording, form, key, out)
        return recording

    async def _write_out(self, recording: Recording, form: ExportFormat, key: bytes, out: Path) -> None:
        with tempfile.TemporaryDirectory(prefix="sent-export-") as folder:
            spooled = await self._spooled_file(recording, Path(folder))
            await asyncio.to_thread(self._render, form, spooled, key, out)

    async def _spooled_file(self, recording: Recording, folder: Path) -> Path:
        """The encrypted file: the spool's own, or a copy out of the file store."""
        if recording.store_key is None:
            if self._spool is not None and self._spool.file(recording.id).exists():
                return self._spool.file(recording.id)
            raise RecordingNotReady(
                "recording.elsewhere",
                "The recording is still on the disk of the server that made it. It is moved to the file store within "
                "seconds when that server runs: try again.",
            )
        copy = folder / "recording.spool"
        with copy.open("wb") as file:
            async for chunk in self._store.read(recording.store_key):
                await asyncio.to_thread(file.write, chunk)
        return copy

    def _render(self, form: ExportFormat, spooled: Path, key: bytes, out: Path) -> None:
        descriptor, name = tempfile.mkstemp(prefix=f".{out.name}.", dir=out.parent)  # mode 0600
        os.close(descriptor)
        draft = Path(name)
        try:
            if form is ExportFormat.OGG:
                assert self._render_ogg is not None, "refused before"
                self._render_ogg(spooled, key, draft)
            else:
                self._write_wav(spooled, key, draft)
            draft.replace(out)
        finally:
            draft.unlink(missing_ok=True)

    def _write_wav(self, spooled: Path, key: bytes, out: Path) -> None:
        reader = self._open_spool(spooled, key, SAMPLE_RATE)
        try:
            with wave.open(str(out), "wb") as file:
                file.setnchannels(2)
                file.setsampwidth(2)
                file.setframerate(SAMPLE_RATE)
                while frames := reader.read(_FRAMES_PER_READ):
                    file.writeframesraw(frames)  # closing puts the length into the header
        finally:
            reader.close()


def _check_ready(recording: Recording) -> None:
    match recording.state:
        case RecordingState.RECORDING:
            raise RecordingNotReady("recording.running", "The call is still being recorded. Try again after it.")
        case RecordingState.FAILED:
            raise RecordingNotReady("recording.failed", recording.error or "Nothing was recorded.")
        case RecordingState.EXPIRED:
            raise RecordingNotFound(
                "recording.expired", "The recording was deleted, because it was kept for as long as the settings say."
            )
        case RecordingState.SPOOLED | RecordingState.STORED:
            return
