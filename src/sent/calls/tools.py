"""What every call works with, given once by ``app``: the engine, who makes legs, who records, who keeps records."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import Protocol
from uuid import UUID

from sent.calls.ending import EndCode
from sent.calls.media_events import MediaEvents
from sent.calls.models import CallRecord, LadderMessage
from sent.calls.party import Direction
from sent.calls.ports import DialplanPort, TargetPort
from sent.media.port import MediaEngine


class RecordingTicket(Protocol):
    """Where one recording goes: a ``file`` that does not exist yet, and its 32-octet ``key``."""

    @property
    def id(self) -> UUID: ...
    @property
    def key(self) -> bytes: ...
    @property
    def file(self) -> Path: ...


class RecorderPort(Protocol):
    async def begin(self, organization_id: UUID, call_id: UUID) -> RecordingTicket | None:
        """A place to record to; None when this organization's calls are not recorded after all. Raises `SentError`."""

    async def finish(self, ticket: RecordingTicket, error: str | None) -> None:
        """The file is whole (or ends early, with ``error``). Called exactly once for each ticket."""


class RecordSink(Protocol):
    def put(self, record: CallRecord) -> None:
        """Take a version of a record. Returns at once, never raises; see `records.RecordWriter`."""


class LadderPort(Protocol):
    def take(self, signalling_id: str) -> tuple[Sequence[LadderMessage], int]:
        """The SIP messages of a Call-ID in order, without secrets, and how many more were not kept; forgets them."""


class CallMetrics(Protocol):
    def started(self) -> None: ...
    def ended(self, code: EndCode, direction: Direction | None, talk_seconds: float) -> None: ...
    def ignored(self, events: int) -> None:
        """Leg events of one call that came late, twice or out of order, or were dropped."""


class NoLadder:
    """For legs whose signalling is elsewhere."""

    def take(self, signalling_id: str) -> tuple[Sequence[LadderMessage], int]:
        return (), 0


class NoMetrics:
    def started(self) -> None:
        return

    def ended(self, code: EndCode, direction: Direction | None, talk_seconds: float) -> None:
        return

    def ignored(self, events: int) -> None:
        return


@dataclass(frozen=True, slots=True)
class Times:
    """How long the runner waits for others, in seconds."""

    plan: float = 5.0
    """For the dialplan's answer."""
    targets: float = 5.0
    """For the legs of a target."""
    recorder: float = 5.0
    ended: float = 5.0
    """For ``LegEnded`` after a leg was told to end; SIP's 32 s go on in the leg, the call's record does not wait."""
    confirmed: float = 0.5
    """For the caller's ACK before an announcement begins; then it begins anyway."""
    silence: float = 30.0
    """Nothing received for so long ends the call (a phone that vanished without BYE)."""


@dataclass(frozen=True, slots=True)
class Tools:
    """``now`` is wall-clock time in UTC. Timers run on the event loop's clock, which tests replace."""

    engine: MediaEngine
    media_events: MediaEvents
    targets: TargetPort
    dialplan: DialplanPort
    records: RecordSink
    now: Callable[[], datetime]
    node_id: UUID
    recorder: RecorderPort | None = None
    ladder: LadderPort = field(default_factory=NoLadder)
    metrics: CallMetrics = field(default_factory=NoMetrics)
    times: Times = Times()
