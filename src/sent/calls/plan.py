"""A plan: what a feature decided should happen to a call. Values only; `calls.runner` executes them.

Steps run in order until one of them settles the call. A `Ring` that nobody answers falls through to the
next step when its ending's blame is in ``go_on_after``; after the last step the caller hears the best ending
that was met (RFC 3261 §16.7 step 6).
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

from sent.calls.ending import Blame, Ending
from sent.calls.party import Direction, Party
from sent.media.types import ToneStep


@dataclass(frozen=True, slots=True)
class UserTarget:
    """Every device that this user has registered."""

    party: Party
    user_id: UUID


@dataclass(frozen=True, slots=True)
class TrunkTarget:
    """A number outside, through one carrier."""

    party: Party
    trunk_id: UUID
    number: str
    """E.164 with its ``+``, or what the carrier wants for short and emergency numbers."""
    caller_id: str | None


RingTarget = UserTarget | TrunkTarget


@dataclass(frozen=True, slots=True)
class Ring:
    """Ring all of ``targets`` at once for ``seconds``; the first answer wins."""

    targets: tuple[RingTarget, ...]
    seconds: float = 30.0
    go_on_after: frozenset[Blame] = frozenset({Blame.CARRIER, Blame.US})


@dataclass(frozen=True, slots=True)
class PlayFile:
    """Answer and play an announcement to its end."""

    file: Path


@dataclass(frozen=True, slots=True)
class PlayTone:
    steps: tuple[ToneStep, ...]


@dataclass(frozen=True, slots=True)
class Echo:
    """Answer and send the caller's audio back, until it hangs up or ``seconds`` are over."""

    seconds: float = 600.0


@dataclass(frozen=True, slots=True)
class Refuse:
    """End the call with ``ending`` (its ``sip_status`` is what the caller gets)."""

    ending: Ending


Step = Ring | PlayFile | PlayTone | Echo | Refuse


@dataclass(frozen=True, slots=True)
class Plan:
    """``callee`` is who was meant, for the record, even when someone else answers."""

    direction: Direction
    callee: Party
    steps: tuple[Step, ...]
    record: bool = False
    """Record once two parties talk."""
    max_seconds: float = 8 * 3600.0
    """How long they may talk; then the call is ended as `LIMIT_REACHED`."""
