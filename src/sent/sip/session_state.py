"""The states of a session (one INVITE usage), the same for both sides (RFC 3261 §13, RFC 5407).

               PROGRESS ┌──┐
    CALLING ──┐         ▼  │       ANSWER              ACK
              ├──────▶ EARLY ────────────▶ ANSWERED ────────▶ CONFIRMED
    INCOMING ─┘  PROGRESS                     │                   │
       │                  │                   │                   │
       └───────END────────┴────────END────────┴───────END─────────┴──▶ ENDED

CALLING: our INVITE is out. INCOMING: theirs came in. EARLY: a provisional response above 100 came or went.
ANSWERED: a 2xx came or went and its ACK did not yet. CALLING and INCOMING may be answered straight away.
"""

from __future__ import annotations

from enum import Enum, auto

from sent.sip.errors import LocalProtocolError


class SessionState(Enum):
    CALLING = auto()
    INCOMING = auto()
    EARLY = auto()
    ANSWERED = auto()
    CONFIRMED = auto()
    ENDED = auto()


class SessionInput(Enum):
    PROGRESS = auto()
    ANSWER = auto()
    ACK = auto()
    END = auto()


_S, _I = SessionState, SessionInput

SESSION_TABLE = {
    (_S.CALLING, _I.PROGRESS): _S.EARLY,
    (_S.CALLING, _I.ANSWER): _S.ANSWERED,
    (_S.CALLING, _I.END): _S.ENDED,
    (_S.INCOMING, _I.PROGRESS): _S.EARLY,
    (_S.INCOMING, _I.ANSWER): _S.ANSWERED,
    (_S.INCOMING, _I.END): _S.ENDED,
    (_S.EARLY, _I.PROGRESS): _S.EARLY,
    (_S.EARLY, _I.ANSWER): _S.ANSWERED,
    (_S.EARLY, _I.END): _S.ENDED,
    (_S.ANSWERED, _I.ACK): _S.CONFIRMED,
    (_S.ANSWERED, _I.END): _S.ENDED,
    (_S.CONFIRMED, _I.END): _S.ENDED,
}

BEFORE_ANSWER = frozenset({_S.CALLING, _S.INCOMING, _S.EARLY})


def next_state(state: SessionState, event: SessionInput) -> SessionState:
    """Raises `LocalProtocolError` for a pair that the table does not have."""
    following = SESSION_TABLE.get((state, event))
    if following is None:
        raise LocalProtocolError(f"session: {event.name} in state {state.name}")
    return following
