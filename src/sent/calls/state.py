"""The call's one state machine. Everything that moves a call goes through `CallStateMachine.move`.

::

            ROUTE           RING            EARLY_MEDIA
    NEW ───────────► ROUTING ─────► RINGING ───────────► EARLY
                      │ ▲ │            │ ▲                │ │
                      │ │ └────────────┼─┼── EARLY_MEDIA ─┼►│      ROUTE (from RINGING and EARLY, back to
                      │ └──────────────┴─┴────── ROUTE ───┘ │             ROUTING): nobody answered, the plan's
                      │ ANSWER         │ ANSWER             │ ANSWER      next step is tried
                      ▼                ▼                    ▼
                    CONNECTED ◄────────┴────────────────────┘
                      │    ▲
                 HOLD ▼    │ RESUME
                     HELD ─┘                     every state but ENDED ──END──► ENDED

A move that is not drawn changes nothing and is counted: leg events come late, twice and out of order
(a 180 after the 200, a provider's webhook after the hang-up), and none of that is an error.
A 180 after early media is not a step back: the caller goes on hearing what it hears.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from types import MappingProxyType

MAX_HISTORY = 200
"""A call that is held and resumed all day keeps its first moves and its last."""


class CallState(StrEnum):
    NEW = "new"
    ROUTING = "routing"
    RINGING = "ringing"
    EARLY = "early"
    CONNECTED = "connected"
    HELD = "held"
    ENDED = "ended"


class CallMove(StrEnum):
    ROUTE = "route"
    RING = "ring"
    EARLY_MEDIA = "early_media"
    ANSWER = "answer"
    HOLD = "hold"
    RESUME = "resume"
    END = "end"


TRANSITIONS: Mapping[tuple[CallState, CallMove], CallState] = MappingProxyType(
    {
        (CallState.NEW, CallMove.ROUTE): CallState.ROUTING,
        (CallState.NEW, CallMove.END): CallState.ENDED,
        (CallState.ROUTING, CallMove.RING): CallState.RINGING,
        (CallState.ROUTING, CallMove.EARLY_MEDIA): CallState.EARLY,
        (CallState.ROUTING, CallMove.ANSWER): CallState.CONNECTED,
        (CallState.ROUTING, CallMove.END): CallState.ENDED,
        (CallState.RINGING, CallMove.ROUTE): CallState.ROUTING,
        (CallState.RINGING, CallMove.EARLY_MEDIA): CallState.EARLY,
        (CallState.RINGING, CallMove.ANSWER): CallState.CONNECTED,
        (CallState.RINGING, CallMove.END): CallState.ENDED,
        (CallState.EARLY, CallMove.ROUTE): CallState.ROUTING,
        (CallState.EARLY, CallMove.ANSWER): CallState.CONNECTED,
        (CallState.EARLY, CallMove.END): CallState.ENDED,
        (CallState.CONNECTED, CallMove.HOLD): CallState.HELD,
        (CallState.CONNECTED, CallMove.END): CallState.ENDED,
        (CallState.HELD, CallMove.RESUME): CallState.CONNECTED,
        (CallState.HELD, CallMove.END): CallState.ENDED,
    }
)


@dataclass(frozen=True, slots=True)
class StateAt:
    state: CallState
    at: datetime


class CallStateMachine:
    """Holds the state, when each was entered, and how many moves were ignored. ``at`` is wall-clock time, UTC."""

    __slots__ = ("_history", "ignored", "state")

    def __init__(self, at: datetime) -> None:
        self.state = CallState.NEW
        self.ignored = 0
        self._history = [StateAt(CallState.NEW, at)]

    @property
    def history(self) -> tuple[StateAt, ...]:
        return tuple(self._history)

    def move(self, move: CallMove, at: datetime) -> bool:
        """Make a move. False, and counted, when the table does not have it."""
        target = TRANSITIONS.get((self.state, move))
        if target is None:
            self.ignored += 1
            return False
        self.state = target
        if len(self._history) < MAX_HISTORY:
            self._history.append(StateAt(target, at))
        else:
            self._history[-1] = StateAt(target, at)
        return True

    def first(self, *states: CallState) -> datetime | None:
        """When one of ``states`` was first entered."""
        return next((entry.at for entry in self._history if entry.state in states), None)
