"""The job that moves a finished recording from the spool to the file store."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from uuid import UUID

from sent.infra.db import Actor, Database
from sent.infra.jobs import GiveUp
from sent.infra.storage import Store
from sent.infra.telemetry import Metrics, get_logger
from sent.infra.vault import Vault
from sent.kit.errors import SentError
from sent.media.spool import SpoolInfo, SpoolReader
from sent.recordings import repository
from sent.recordings.models import Recording, RecordingState, key_context
from sent.recordings.spool import Spool

log = get_logger(__name__)

OpenSpool = Callable[[Path, bytes, int], SpoolReader]
"""File, data key, sample rate. `sent.media.engine` has it; it raises `SentError` for what it cannot read."""

NO_FILE = "Nothing was recorded: the media engine wrote no file."
_ACTOR = Actor("system", "recorder")
_INFO_RATE = 8_000


class StoreRecording:
    """``await store(recording_id, organization_id)``; may run any number of times, also after dying half-way."""

    def __init__(
        self, spool: Spool, store: Store, database: Database, vault: Vault, open_spool: OpenSpool, metrics: Metrics
    ) -> None:
        self._spool = spool
        self._store = store
        self._database = database
        self._vault = vault
        self._open_spool = open_spool
        self._metrics = metrics

    async def __call__(self, recording_id: str, organization_id: str) -> None:
        identity, organization = UUID(recording_id), UUID(organization_id)
        async with self._database.transaction(organization, _ACTOR) as conn:
            recording = await repository.read(conn, identity)
            if recording is None:
                raise GiveUp(f"There is no recording {recording_id}.")
            key = None
            if recording.state is RecordingState.RECORDING:
                raise GiveUp(f"Recording {recording_id} has not ended.")
            if recording.state is RecordingState.SPOOLED:
                assert recording.sealed_key is not None, "only an expired recording has no key"
                key = await self._vault.open(conn, organization, key_context(identity), recording.sealed_key)
        if key is not None:
            await self._move(recording, key)
        await asyncio.to_thread(self._spool.remove, identity)

    async def _move(self, recording: Recording, key: bytes) -> None:
        file = self._spool.file(recording.id)
        if not await asyncio.to_thread(file.exists):
            await self._no_file(recording)
            return
        place = store_key(recording.organization_id, recording.id)
        octets = (await asyncio.to_thread(file.stat)).st_size
        await self._store.put(place, file)
        if await self._store.size(place) != octets:
            raise OSError(f"The file store has {place} with another size than the spool.")
        try:
            info = await asyncio.to_thread(self._info, file, key)
        except SentError as error:
            words = _joined(recording.error, f"The recording cannot be read: {error.message}")
            log.error("recordings.unreadable", recording_id=str(recording.id), error=error.message)
            await self._failed(recording, words, place, octets)
            return
        async with self._database.transaction(recording.organization_id, _ACTOR) as conn:
            await repository.stored(conn, recording.id, place, octets, info.duration_ms, truncated=info.truncated)
        self._metrics.recordings.of(outcome="stored").inc()

    async def _no_file(self, recording: Recording) -> None:
        if await asyncio.to_thread(self._spool.has_ticket, recording.id):
            await self._failed(recording, _joined(recording.error, NO_FILE))
        else:  # its ticket is in another node's spool, and so is its file
            raise FileNotFoundError(f"Recording {recording.id} is not in this node's spool.")

    async def _failed(
        self, recording: Recording, words: str, place: str | None = None, octets: int | None = None
    ) -> None:
        async with self._database.transaction(recording.organization_id, _ACTOR) as conn:
            await repository.failed(conn, recording.id, words, place, octets)
        self._metrics.recordings.of(outcome="failed").inc()

    def _info(self, file: Path, key: bytes) -> SpoolInfo:
        reader = self._open_spool(file, key, _INFO_RATE)
        try:
            return reader.info()
        finally:
            reader.close()


def store_key(organization_id: UUID, recording_id: UUID) -> str:
    """Where a recording lies in the file store."""
    return f"recordings/{organization_id}/{recording_id}.spool"


def _joined(*words: str | None) -> str:
    return " ".join(word for word in words if word)
