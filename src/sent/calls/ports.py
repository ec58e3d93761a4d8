"""What `calls` needs from the layers above it; they implement these, `app` wires them.

A leg is one party's connection. Its commands return at once; what comes of them is reported as `LegEvent`,
which may come late, twice or out of order (a provider's webhooks do), so the receiver ignores what its
state does not expect. All of it runs on one event loop.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol
from uuid import UUID

from sent.calls.ending import Ending
from sent.calls.party import Party
from sent.calls.plan import Plan, RingTarget
from sent.kit.errors import SentError
from sent.media.types import MediaLegId


@dataclass(frozen=True, slots=True)
class Ringing:
    leg_id: UUID
    early_media: bool = False
    """The far side sends audio before it answers; bridge it, so that the caller hears it."""


@dataclass(frozen=True, slots=True)
class Answered:
    leg_id: UUID


@dataclass(frozen=True, slots=True)
class LegEnded:
    """Before or after the answer; the last event of a leg.

    Report it before closing the leg's media: the receiver reads the last statistics at that moment, and closes the
    media leg itself (closing twice does no harm).
    """

    leg_id: UUID
    ending: Ending


@dataclass(frozen=True, slots=True)
class HoldChanged:
    leg_id: UUID
    held: bool
    """True: this party put the other on hold, who is to hear music."""


@dataclass(frozen=True, slots=True)
class DigitPressed:
    leg_id: UUID
    digit: str
    duration_ms: int
    by_signalling: bool = False
    """It came as a SIP INFO, which the media engine knows nothing of: the runner has it sent to the other side.
    RFC 4733 digits pass through the engine's bridge and are only reported."""


@dataclass(frozen=True, slots=True)
class MediaRenegotiated:
    """Codec or address changed in mid-call; bridge again."""

    leg_id: UUID


LegEvent = Ringing | Answered | LegEnded | HoldChanged | DigitPressed | MediaRenegotiated


@dataclass(frozen=True, slots=True)
class LegDetails:
    """What the record keeps of a leg. ``provider_sid`` for legs whose signalling is a provider's."""

    signalling_id: str = ""
    """SIP Call-ID, or empty."""
    provider_sid: str | None = None
    transport: str = ""
    remote_address: str = ""
    user_agent: str = ""
    codec: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)


class LegPort(Protocol):
    @property
    def leg_id(self) -> UUID: ...

    @property
    def party(self) -> Party: ...

    @property
    def media(self) -> MediaLegId | None:
        """None while nothing is open yet, or when the media is elsewhere (at a provider)."""

    @property
    def codecs(self) -> Sequence[str]:
        """What the far side can do, best first, as far as known; empty before an outgoing leg has its answer."""

    @property
    def details(self) -> LegDetails: ...

    def listen(self, sink: Callable[[LegEvent], None]) -> None:
        """Set once, before any command. Events met earlier are delivered on the next loop turn."""

    def ring(self, caller: Party, codecs: Sequence[str]) -> None:
        """Outgoing legs: start. ``codecs`` are the caller's, offered first, so that no transcoding is needed."""

    def alert(self, *, early_media: bool = False) -> None:
        """Incoming legs: tell the caller that it rings (180), or open its audio before the answer (183)."""

    def answer(self, codecs: Sequence[str] = ()) -> None:
        """Incoming legs: accept, with the first of ``codecs`` that the caller can do. Idempotent."""

    def end(self, ending: Ending) -> None:
        """Refuse, cancel or hang up, as the leg's state asks. Idempotent; `LegEnded` follows always."""

    def send_digits(self, digits: str) -> None: ...


class CallRefused(SentError):
    """Raised by a `TargetPort` that cannot make a leg (limit, destination closed, offline)."""

    http_status = 409

    def __init__(self, ending: Ending) -> None:
        super().__init__(f"call.{ending.code}", ending.words)
        self.ending = ending


class TargetPort(Protocol):
    async def legs_for(self, target: RingTarget, call_id: UUID, organization_id: UUID) -> Sequence[LegPort]:
        """New outgoing legs, one per registered device or carrier target. Raises `CallRefused`."""


@dataclass(frozen=True, slots=True)
class CallRequest:
    """An authenticated wish to call."""

    organization_id: UUID
    caller: Party
    dialed: str
    leg: LegPort
    answered_elsewhere: bool = False


class DialplanPort(Protocol):
    async def plan(self, request: CallRequest) -> Plan:
        """Decide. Unknown numbers give a plan that refuses with 404 and words; never raises for bad numbers."""
