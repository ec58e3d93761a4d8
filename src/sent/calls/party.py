"""Who takes part in a call."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class PartyKind(StrEnum):
    USER = "user"
    OUTSIDE = "outside"
    SERVICE = "service"


@dataclass(frozen=True, slots=True)
class Party:
    """``number`` is what is shown and dialled: an extension or an E.164 number. Name may be empty."""

    kind: PartyKind
    number: str
    name: str = ""
    user_id: UUID | None = None
    device_id: UUID | None = None
    trunk_id: UUID | None = None


class Direction(StrEnum):
    INTERNAL = "internal"
    INBOUND = "inbound"
    OUTBOUND = "outbound"
