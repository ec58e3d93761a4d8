"""A call: its ids, its legs, its state and times. Knows nothing of tasks or the engine; `live_call` drives it."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import UUID

from sent.calls.ending import Ending
from sent.calls.endings import completed
from sent.calls.leg import Leg, Role
from sent.calls.models import CallRecord, CallSnapshot, Ladder, LegRecord, disposition
from sent.calls.plan import Plan
from sent.calls.ports import CallRequest
from sent.calls.quality import from_statistics
from sent.calls.state import CallMove, CallState, CallStateMachine

MAX_FLAGS = 50
MAX_DIALED = 128


class Call:
    """``now`` gives wall-clock time in UTC; ``node_id`` is the node that runs (and records) the call."""

    def __init__(self, call_id: UUID, request: CallRequest, node_id: UUID, now: Callable[[], datetime]) -> None:
        self.id = call_id
        self.request = request
        self.node_id = node_id
        self.now = now
        self.started_at = now()
        self.machine = CallStateMachine(self.started_at)
        self.plan: Plan | None = None
        self.caller = Leg(request.leg, Role.CALLER, self.started_at)
        self.legs: list[Leg] = [self.caller]
        self.talking_to: Leg | None = None
        self.ending: Ending | None = None
        self.recording_id: UUID | None = None
        self.recording_error: str | None = None
        self.is_recording = False
        self.flags: list[str] = []
        self.ignored = 0
        """Events about legs that this call does not have, or that the step at hand does not expect."""
        self._version = 0

    @property
    def organization_id(self) -> UUID:
        return self.request.organization_id

    @property
    def state(self) -> CallState:
        return self.machine.state

    @property
    def answered_at(self) -> datetime | None:
        return self.machine.first(CallState.CONNECTED)

    def move(self, move: CallMove) -> bool:
        return self.machine.move(move, self.now())

    def leg(self, leg_id: UUID) -> Leg | None:
        return next((leg for leg in self.legs if leg.id == leg_id), None)

    def add_leg(self, leg: Leg) -> None:
        self.legs.append(leg)

    def flag(self, words: str, leg: Leg | None = None) -> None:
        """Note what was wrong, once, for whoever asks later why the call was bad."""
        for flags in (self.flags, leg.flags if leg is not None else None):
            if flags is not None and words not in flags and len(flags) < MAX_FLAGS:
                flags.append(words)

    def end(self, ending: Ending) -> None:
        self.ending = completed(ending, answered=self.answered_at is not None)
        self.move(CallMove.END)

    def snapshot(self, sequence: int) -> CallSnapshot:
        talking = self.talking_to
        return CallSnapshot(
            sequence=sequence,
            call_id=self.id,
            organization_id=self.organization_id,
            state=self.state,
            caller=self.request.caller,
            dialed=self.request.dialed,
            started_at=self.started_at,
            direction=self.plan.direction if self.plan else None,
            callee=self.plan.callee if self.plan else None,
            answered_at=self.answered_at,
            talking_to=talking.party if talking else None,
            codec=(talking or self.caller).port.details.codec,
            mos=min((s.mos for leg in self.legs if (s := leg.statistics) and s.mos is not None), default=None),
            recording=self.is_recording,
            flags=tuple(self.flags),
            ending=self.ending,
        )

    def record(self, ladder: Ladder | None = None) -> CallRecord:
        """The record as it stands, one version newer than the last one that was taken."""
        self._version += 1
        ending = self.ending
        return CallRecord(
            id=self.id,
            organization_id=self.organization_id,
            node_id=self.node_id,
            version=self._version,
            dialed=self.request.dialed[:MAX_DIALED],
            caller=self.request.caller,
            state=self.state,
            started_at=self.started_at,
            direction=self.plan.direction if self.plan else None,
            callee=self.plan.callee if self.plan else None,
            states=self.machine.history,
            ringing_at=self.machine.first(CallState.RINGING, CallState.EARLY),
            answered_at=self.answered_at,
            ended_at=self.machine.first(CallState.ENDED),
            ending=ending,
            disposition=disposition(ending.code, answered=self.answered_at is not None) if ending else None,
            recording_id=self.recording_id,
            recording_error=self.recording_error,
            flags=tuple(self.flags),
            digits=sum(leg.digits for leg in self.legs),
            ignored_events=self.ignored + self.machine.ignored + sum(leg.ignored for leg in self.legs),
            legs=tuple(_leg_record(leg) for leg in self.legs),
            ladder=ladder,
        )


def _leg_record(leg: Leg) -> LegRecord:
    details = leg.port.details
    return LegRecord(
        id=leg.id,
        role=leg.role,
        party=leg.party,
        state=leg.state,
        started_at=leg.started_at,
        ringing_at=leg.ringing_at,
        answered_at=leg.answered_at,
        ended_at=leg.ended_at,
        ending=leg.ending,
        signalling_id=details.signalling_id,
        provider_sid=details.provider_sid,
        transport=details.transport,
        remote_address=details.remote_address,
        user_agent=details.user_agent,
        codec=details.codec,
        extra=dict(details.extra),
        quality=from_statistics(leg.statistics) if leg.statistics is not None else None,
        flags=tuple(leg.flags),
        digits=leg.digits,
    )
