"""What a house's calls left behind: rows, ladders, recordings, read by a connection of the test's own."""

from __future__ import annotations

import asyncio
from pathlib import Path
from uuid import UUID

from sent.app.background import recording_store
from sent.calls.history import CallDetail, CallHistory, Filter
from sent.media.engine import open_spool
from sent.recordings.exports import ExportFormat, Exports
from sent.recordings.models import Recording, RecordingState
from tests.interop.product import House
from tests.interop.tones import Sound, read_wav


async def live_records(house: House, count: int, seconds: float = 10.0) -> list[CallDetail]:
    """``count`` records of calls that are up, as the database has them."""
    return await _records(house, count, live=True, seconds=seconds)


async def ended_records(house: House, count: int, seconds: float = 10.0) -> list[CallDetail]:
    return await _records(house, count, live=False, seconds=seconds)


async def _records(house: House, count: int, *, live: bool, seconds: float) -> list[CallDetail]:
    history, owner = CallHistory(house.local.database), house.principal
    seen: list[str] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                page = await history.list(owner.organization_id, owner.actor, Filter(live=live))
                seen = [f"{call.id} {call.end_code} {call.end_words}" for call in page.calls]
                if len(page.calls) == count:
                    return [await history.get(owner.organization_id, owner.actor, c.id) for c in reversed(page.calls)]
                await asyncio.sleep(0.05)
    except TimeoutError:
        raise AssertionError(f"not {count} records with live={live} in {seconds} s: {seen}") from None


async def recording_of(house: House, call_id: UUID, seconds: float = 15.0) -> Recording:
    """The one recording of a call, as soon as it is in the file store or has failed."""
    exports = _exports(house)
    owner = house.principal
    found: list[Recording] = []
    try:
        async with asyncio.timeout(seconds):
            while True:
                found = await exports.of_call(owner.organization_id, owner.actor, call_id)
                if len(found) == 1 and found[0].state in (RecordingState.STORED, RecordingState.FAILED):
                    return found[0]
                await asyncio.sleep(0.1)
    except TimeoutError:
        raise AssertionError(f"no recording came to its end in {seconds} s: {found}") from None


async def listen_to(house: House, recording: Recording, folder: Path) -> tuple[Sound, Sound]:
    """Export as a person would and read the file: left (the caller), right (the callee)."""
    file = folder / f"{recording.id}.wav"
    owner = house.principal
    await _exports(house).export(owner.organization_id, owner.actor, recording.id, ExportFormat.WAV, file)
    left, right = read_wav(file)
    return left, right


def _exports(house: House) -> Exports:
    local = house.local
    return Exports(local.database, local.vault, recording_store(local.settings), open_spool)
