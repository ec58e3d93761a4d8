"""When to REGISTER at a carrier, and what to say about it. Pure: time and chance are arguments.

                    ┌────────────── succeeded ──────────────┐
                    ▼                                       │
    WAITING ──▶ REGISTERED ── refused / unreachable ──▶ RETRYING
       │                                                ▲    │ (still registered until `registered_until`)
       └───────────── refused / unreachable ────────────┘    └─ refused / unreachable: longer pause

Nothing ends the attempts for good: a carrier's 403 may be a mistake that it repairs, a DNS error always passes. What
changes is the pause (30 s, doubling to 30 min, with jitter; ``Retry-After`` wins when it is longer).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import StrEnum

SHORTEST_PAUSE = 30.0
LONGEST_PAUSE = 1800.0
ASKED_EXPIRY = 600
REFRESH_BETWEEN = (0.5, 0.9)
"""Parts of the granted time; spread so that many trunks do not refresh in the same second."""


class RegistrationPhase(StrEnum):
    WAITING = "waiting"
    REGISTERED = "registered"
    RETRYING = "retrying"


@dataclass(frozen=True, slots=True)
class RegistrationState:
    """Times are on the clock of the ``now`` arguments. ``words`` is the carrier's last answer, for people."""

    phase: RegistrationPhase = RegistrationPhase.WAITING
    next_at: float = 0.0
    registered_until: float | None = None
    failures: int = 0
    status: int | None = None
    words: str = "Not registered yet."
    ask: int = ASKED_EXPIRY

    def is_registered(self, now: float) -> bool:
        """Also while a refresh fails, as long as the carrier's promise lasts."""
        return self.registered_until is not None and self.registered_until > now


def succeeded(state: RegistrationState, granted: int | None, now: float, chance: float) -> RegistrationState:
    """A 200 with ``granted`` seconds (None: the carrier did not say, so what was asked). ``chance`` is in [0, 1)."""
    seconds = granted if granted else state.ask
    low, high = REFRESH_BETWEEN
    return replace(
        state,
        phase=RegistrationPhase.REGISTERED,
        next_at=now + max(1.0, seconds * (low + (high - low) * chance)),
        registered_until=now + seconds,
        failures=0,
        status=200,
        words=f"Registered for {seconds} seconds.",
    )


def refused(
    state: RegistrationState,
    status: int,
    phrase: str,
    now: float,
    chance: float,
    *,
    retry_after: float | None = None,
    min_expires: int | None = None,
) -> RegistrationState:
    """A final failure. 423 is not one: ask for longer, at once (RFC 3261 §10.2.8)."""
    if status == 423 and min_expires and state.ask < min_expires <= 86_400:
        return replace(state, ask=min_expires, next_at=now, status=status, words=f"The carrier wants {min_expires} s.")
    advice = _ADVICE.get(status, "")
    said = "".join(c if c.isprintable() else " " for c in phrase)[:120].strip()
    return _failed(state, status, f"The carrier answered {status} {said}.{advice}", now, chance, retry_after)


def unreachable(state: RegistrationState, why: str, now: float, chance: float) -> RegistrationState:
    """No answer, no connection or no DNS entry. ``why`` is a sentence."""
    return _failed(state, None, why, now, chance, None)


_ADVICE = {
    401: " Check the trunk's user name and password.",
    403: " The account may be blocked, or this address not allowed; ask the carrier.",
    404: " The carrier does not know this user name or domain.",
    407: " Check the trunk's user name and password.",
}


def _failed(
    state: RegistrationState, status: int | None, words: str, now: float, chance: float, retry_after: float | None
) -> RegistrationState:
    pause = min(LONGEST_PAUSE, SHORTEST_PAUSE * 2.0 ** min(state.failures, 16))
    pause *= 0.75 + 0.5 * chance
    if retry_after is not None:
        pause = max(pause, min(retry_after, 86_400.0))
    return replace(
        state,
        phase=RegistrationPhase.RETRYING,
        next_at=now + pause,
        failures=state.failures + 1,
        status=status,
        words=words,
    )
