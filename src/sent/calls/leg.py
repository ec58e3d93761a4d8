"""One leg of a call as the runner sees it: its state, its times, and what its record keeps.

::

    outgoing:  NEW ──start──► CALLING ──ringing──► RINGING ──early──► EARLY        answered: from CALLING,
    incoming:  NEW ──ringing/early (our 180/183)──► RINGING / EARLY               RINGING, EARLY and (incoming) NEW
                                     │                                             ──► ANSWERED
               every state ──stop (we end it)──► ENDING ──ended──► ENDED
               every state but ENDED ──ended──► ENDED

What the table does not have is ignored and counted. In ENDING only ``ended`` counts: an answer that crosses our CANCEL
is the leg's business (it hangs up), not the call's.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType
from uuid import UUID

from sent.calls.ending import Ending
from sent.calls.party import Party
from sent.calls.ports import (
    Answered,
    DigitPressed,
    HoldChanged,
    LegEnded,
    LegEvent,
    LegPort,
    MediaRenegotiated,
    Ringing,
)
from sent.media.types import LegStatistics, MediaLegId


class Role(StrEnum):
    CALLER = "caller"
    CALLEE = "callee"


class LegState(StrEnum):
    NEW = "new"
    CALLING = "calling"
    RINGING = "ringing"
    EARLY = "early"
    ANSWERED = "answered"
    ENDING = "ending"
    ENDED = "ended"


class LegMove(StrEnum):
    START = "start"
    RINGING = "ringing"
    EARLY = "early"
    ANSWERED = "answered"
    STOP = "stop"
    ENDED = "ended"


LEG_TRANSITIONS: Mapping[tuple[LegState, LegMove], LegState] = MappingProxyType(
    {
        (LegState.NEW, LegMove.START): LegState.CALLING,
        (LegState.NEW, LegMove.RINGING): LegState.RINGING,
        (LegState.NEW, LegMove.EARLY): LegState.EARLY,
        (LegState.NEW, LegMove.ANSWERED): LegState.ANSWERED,
        (LegState.CALLING, LegMove.RINGING): LegState.RINGING,
        (LegState.CALLING, LegMove.EARLY): LegState.EARLY,
        (LegState.CALLING, LegMove.ANSWERED): LegState.ANSWERED,
        (LegState.RINGING, LegMove.EARLY): LegState.EARLY,
        (LegState.RINGING, LegMove.ANSWERED): LegState.ANSWERED,
        (LegState.EARLY, LegMove.ANSWERED): LegState.ANSWERED,
        **{
            (state, LegMove.STOP): LegState.ENDING
            for state in LegState
            if state not in {LegState.ENDING, LegState.ENDED}
        },
        **{(state, LegMove.ENDED): LegState.ENDED for state in LegState if state is not LegState.ENDED},
    }
)

_TALKING = frozenset({LegState.EARLY, LegState.ANSWERED})


class Leg:
    """Not thread-safe; all of it runs on the call's event loop."""

    def __init__(self, port: LegPort, role: Role, at: datetime) -> None:
        self.port = port
        self.role = role
        self.state = LegState.NEW
        self.started_at = at
        self.ringing_at: datetime | None = None
        self.answered_at: datetime | None = None
        self.ended_at: datetime | None = None
        self.ending: Ending | None = None
        self.holding = False
        """This party put the other on hold."""
        self.confirmed = False
        """The caller's side confirmed our answer (its ACK)."""
        self.digits = 0
        self.ignored = 0
        self.statistics: LegStatistics | None = None
        """The last that were read; final once the leg has ended."""
        self.flags: list[str] = []
        self.media: MediaLegId | None = None
        """The last media leg that the port had; kept after the port let it go."""

    @property
    def id(self) -> UUID:
        return self.port.leg_id

    @property
    def party(self) -> Party:
        return self.port.party

    @property
    def is_over(self) -> bool:
        return self.state in {LegState.ENDING, LegState.ENDED}

    def move(self, move: LegMove) -> bool:
        target = LEG_TRANSITIONS.get((self.state, move))
        if target is None:
            self.ignored += 1
            return False
        self.state = target
        return True

    def accept(self, event: LegEvent, at: datetime) -> bool:
        """Take in what the port reported. False: it came late, twice or out of order, and nothing happens."""
        match event:
            case Ringing(early_media=early):
                if not self.move(LegMove.EARLY if early else LegMove.RINGING):
                    return False
                self.ringing_at = self.ringing_at or at
            case Answered():
                if self.role is Role.CALLER and self.state is LegState.ANSWERED and not self.confirmed:
                    # The caller is in ANSWERED since we answered it; this is its confirmation, and comes once.
                    self.confirmed = True
                    return True
                if not self.move(LegMove.ANSWERED):
                    return False
                self.answered_at = at
            case LegEnded(ending=ending):
                if not self.move(LegMove.ENDED):
                    return False
                self.ended_at, self.ending = at, self.ending or ending
            case HoldChanged(held=held):
                if self.state is not LegState.ANSWERED or held is self.holding:
                    self.ignored += 1
                    return False
                self.holding = held
            case DigitPressed():
                if self.state not in _TALKING:
                    self.ignored += 1
                    return False
                self.digits += 1
            case MediaRenegotiated():
                if self.state not in _TALKING:
                    self.ignored += 1
                    return False
        return True

    def show(self) -> str:
        """How a sentence names this party."""
        return self.party.name or self.party.number
