"""What routing inside an organization needs to know. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from uuid import UUID


class ExtensionKind(StrEnum):
    USER = "user"
    ECHO = "echo"
    ANNOUNCEMENT = "announcement"


@dataclass(frozen=True, slots=True)
class Extension:
    """``user_id`` for users; ``announcement`` is the name of a WAV file without its ending, for announcements."""

    id: UUID
    number: str
    kind: ExtensionKind
    name: str = ""
    user_id: UUID | None = None
    announcement: str | None = None


@dataclass(frozen=True, slots=True)
class PbxSettings:
    record_internal: bool = False
    record_outside: bool = False
    """Calls with a party outside; the dialplan of `trunks` asks for it."""


@dataclass(frozen=True, slots=True)
class RoutingSnapshot:
    """All that decides where a number inside an organization leads, as it was at one moment."""

    extensions: Mapping[str, Extension] = field(default_factory=dict)
    settings: PbxSettings = field(default_factory=PbxSettings)
