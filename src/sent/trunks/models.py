"""A carrier as configured, and the numbers that it brings. Values only."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class TrunkMode(StrEnum):
    REGISTER = "register"
    """We log in at the carrier and it calls us where we registered."""
    ADDRESS = "address"
    """The carrier knows our address, and we its addresses."""


class CallerIdHeader(StrEnum):
    """Where the carrier wants to read the caller's number (RFC 3325 §9.1)."""

    FROM = "from"
    ASSERTED = "asserted"
    """P-Asserted-Identity; From holds the account."""


class SrtpPolicy(StrEnum):
    OFF = "off"
    OFFERED = "offered"
    """SDES is offered beside plain RTP; the carrier chooses."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class TrunkLimits:
    """What may be spent through one trunk. Default-deny: everything that costs more than a national call is closed."""

    concurrent_calls: int = 10
    calls_per_minute: int = 30
    calls_per_day: int = 1_000
    countries: tuple[str, ...] = ()
    """ISO 3166 codes opened besides the trunk's own; ``("*",)`` opens all."""
    premium: bool = False


@dataclass(frozen=True, slots=True)
class Trunk:
    """``password`` is not here: it stays sealed in its row until a challenge asks for it.

    ``domain`` is the registrar's and the From domain; ``proxy`` (``host`` or ``host:port``), when given, is where
    requests are sent instead. ``country`` (ISO 3166) says what a number without ``+`` means and what counts as
    international; empty for a line to another phone system. ``sources`` are the addresses or networks that an ADDRESS
    trunk calls us from.
    """

    id: UUID
    organization_id: UUID
    name: str
    mode: TrunkMode
    domain: str
    transport: str
    proxy: str | None
    username: str | None
    auth_username: str | None
    country: str
    caller_id: str | None
    caller_id_header: CallerIdHeader
    sources: tuple[str, ...]
    srtp: SrtpPolicy
    priority: int
    outside_prefix: str
    limits: TrunkLimits
    enabled: bool = True


@dataclass(frozen=True, slots=True)
class TrunkNumber:
    """``number`` is E.164; ``extension`` is what it rings inside."""

    id: UUID
    organization_id: UUID
    trunk_id: UUID
    number: str
    extension: str
