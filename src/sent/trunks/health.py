"""Is a carrier there? Pure state machine, fed by OPTIONS pings, registrations and the outcome of calls.

              failed            failed
      UP ───────────▶ SUSPECT ─────────▶ DOWN
      ▲ ▲                │                 │ failed: stays
      │ └─── answered ───┘                 │
      └────────────── answered ────────────┘

A DOWN trunk is tried last, not never: it may be back since the last ping. Any SIP answer but 503 means that it is
there, even 404 or 405: many carriers refuse OPTIONS.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

PING_EVERY = 60.0
PING_AGAIN = 10.0
"""While SUSPECT, so that a single lost packet is told from an outage soon."""


class TrunkHealth(StrEnum):
    UP = "up"
    SUSPECT = "suspect"
    DOWN = "down"


class Sign(StrEnum):
    ANSWERED = "answered"
    FAILED = "failed"


TRANSITIONS: dict[tuple[TrunkHealth, Sign], TrunkHealth] = {
    (TrunkHealth.UP, Sign.ANSWERED): TrunkHealth.UP,
    (TrunkHealth.UP, Sign.FAILED): TrunkHealth.SUSPECT,
    (TrunkHealth.SUSPECT, Sign.ANSWERED): TrunkHealth.UP,
    (TrunkHealth.SUSPECT, Sign.FAILED): TrunkHealth.DOWN,
    (TrunkHealth.DOWN, Sign.ANSWERED): TrunkHealth.UP,
    (TrunkHealth.DOWN, Sign.FAILED): TrunkHealth.DOWN,
}


@dataclass(frozen=True, slots=True)
class HealthState:
    """``since`` and ``next_ping`` are on the clock of the ``now`` arguments."""

    health: TrunkHealth = TrunkHealth.UP
    since: float = 0.0
    next_ping: float = 0.0
    words: str = "Not tried yet."


def observe(state: HealthState, sign: Sign, words: str, now: float) -> HealthState:
    """Take in one sign of life or of its absence. ``words`` says what was seen."""
    health = TRANSITIONS[state.health, sign]
    since = state.since if health is state.health else now
    pause = PING_AGAIN if health is TrunkHealth.SUSPECT else PING_EVERY
    return HealthState(health, since, now + pause, words)


def sign_of(status: int) -> Sign:
    return Sign.FAILED if status == 503 else Sign.ANSWERED
