"""The record of a call: what is written when it starts, when it is answered and when it ends. Values only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from sent.calls.ending import EndCode, Ending
from sent.calls.leg import LegState, Role
from sent.calls.party import Direction, Party
from sent.calls.state import CallState, StateAt


class Disposition(StrEnum):
    ANSWERED = "answered"
    MISSED = "missed"
    BUSY = "busy"
    REFUSED = "refused"
    FAILED = "failed"


_DISPOSITION = {
    EndCode.HUNG_UP: Disposition.MISSED,
    EndCode.CANCELLED: Disposition.MISSED,
    EndCode.NO_ANSWER: Disposition.MISSED,
    EndCode.OFFLINE: Disposition.MISSED,
    EndCode.BUSY: Disposition.BUSY,
    EndCode.DECLINED: Disposition.BUSY,
    EndCode.NOT_FOUND: Disposition.REFUSED,
    EndCode.NOT_ALLOWED: Disposition.REFUSED,
    EndCode.LIMIT_REACHED: Disposition.REFUSED,
    EndCode.CARRIER_REFUSED: Disposition.REFUSED,
    EndCode.NO_COMMON_CODEC: Disposition.REFUSED,
}


def disposition(code: EndCode, *, answered: bool) -> Disposition:
    """One word for lists: an answered call is `ANSWERED` however it ended."""
    return Disposition.ANSWERED if answered else _DISPOSITION.get(code, Disposition.FAILED)


@dataclass(frozen=True, slots=True)
class Quality:
    """Of one leg. *Received* is what we got from this party, *sent* what it says (by RTCP) that it got from us.

    R and MOS are the E-model's (ITU-T G.107) for the received direction; None before enough packets were seen.
    """

    packets_sent: int = 0
    packets_received: int = 0
    packets_lost: int = 0
    packets_discarded: int = 0
    loss_received_percent: float = 0.0
    loss_sent_percent: float = 0.0
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    buffer_delay_ms: float = 0.0
    r_factor: float | None = None
    mos: float | None = None
    transcoded: bool = False
    strangers: int = 0
    remote: str | None = None
    """Where its packets really came from, ``address:port``."""


@dataclass(frozen=True, slots=True)
class LegRecord:
    id: UUID
    role: Role
    party: Party
    state: LegState
    started_at: datetime
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None
    signalling_id: str = ""
    provider_sid: str | None = None
    transport: str = ""
    remote_address: str = ""
    user_agent: str = ""
    codec: str | None = None
    extra: Mapping[str, str] = field(default_factory=dict)
    quality: Quality | None = None
    flags: tuple[str, ...] = ()
    """What was wrong with its audio, in sentences."""
    digits: int = 0


@dataclass(frozen=True, slots=True)
class LadderMessage:
    """One SIP message as it passed, without credentials. ``sent``: by us, to ``remote``."""

    at: datetime
    signalling_id: str
    sent: bool
    remote: str
    text: str


@dataclass(frozen=True, slots=True)
class Ladder:
    messages: tuple[LadderMessage, ...]
    omitted: int = 0
    """Messages that went over the bound and were not kept."""


@dataclass(frozen=True, slots=True)
class CallRecord:
    """``version`` grows with each state of the same record; a store keeps the highest, so that writing is idempotent
    and late replays change nothing. ``ladder`` comes with the last version only."""

    id: UUID
    organization_id: UUID
    node_id: UUID
    version: int
    dialed: str
    caller: Party
    state: CallState
    started_at: datetime
    direction: Direction | None = None
    callee: Party | None = None
    states: tuple[StateAt, ...] = ()
    ringing_at: datetime | None = None
    answered_at: datetime | None = None
    ended_at: datetime | None = None
    ending: Ending | None = None
    disposition: Disposition | None = None
    recording_id: UUID | None = None
    recording_error: str | None = None
    flags: tuple[str, ...] = ()
    digits: int = 0
    ignored_events: int = 0
    legs: tuple[LegRecord, ...] = ()
    ladder: Ladder | None = None


@dataclass(frozen=True, slots=True)
class CallSnapshot:
    """A live call for those who watch. ``sequence`` grows by one with every change of any call of the organization:
    who has a list with sequence *n* applies the changes after *n* and has what a fresh list would say."""

    sequence: int
    call_id: UUID
    organization_id: UUID
    state: CallState
    caller: Party
    dialed: str
    started_at: datetime
    direction: Direction | None = None
    callee: Party | None = None
    answered_at: datetime | None = None
    talking_to: Party | None = None
    codec: str | None = None
    mos: float | None = None
    """Of the worse direction, as last read."""
    recording: bool = False
    flags: tuple[str, ...] = ()
    ending: Ending | None = None
