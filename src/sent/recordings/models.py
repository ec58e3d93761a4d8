"""A recording, and where it is in its life.

                 finish              store               retention
    recording ───────────▶ spooled ─────────▶ stored ────────────────▶ expired
                              │ nothing to store                          ▲
                              └─────────────▶ failed ─────────────────────┘

``recording``: the file grows. ``spooled``: it is whole, on the disk of the node that recorded. ``stored``: in the file
store. ``failed``: there is nothing that could be played; ``error`` says why. ``expired``: file and key are
destroyed, and the row stays. A recording that ended early (full disk, crash) is ``stored`` with ``truncated`` or
an ``error``: what there is can be played.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from uuid import UUID


class RecordingState(StrEnum):
    RECORDING = "recording"
    SPOOLED = "spooled"
    STORED = "stored"
    FAILED = "failed"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True, repr=False)
class RecordingTicket:
    """What the media engine needs: a ``file`` that does not exist yet, and the 32-octet data ``key``."""

    id: UUID
    organization_id: UUID
    call_id: UUID
    started_at: datetime
    file: Path
    key: bytes

    def __repr__(self) -> str:
        return f"RecordingTicket(id={self.id}, call_id={self.call_id})"


@dataclass(frozen=True, slots=True, kw_only=True, repr=False)
class Recording:
    """A row of the table. ``sealed_key`` is the data key under the organization's; None once destroyed."""

    id: UUID
    organization_id: UUID
    call_id: UUID
    state: RecordingState
    sealed_key: bytes | None
    store_key: str | None
    started_at: datetime
    ended_at: datetime | None
    duration_ms: int | None
    octets: int | None
    truncated: bool
    error: str | None
    expires_at: datetime | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "state", RecordingState(self.state))

    def __repr__(self) -> str:
        return f"Recording(id={self.id}, state={self.state})"


def key_context(recording_id: UUID) -> str:
    """The vault's context of a recording's data key."""
    return f"recording.key:{recording_id}"
