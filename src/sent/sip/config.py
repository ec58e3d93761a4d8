"""Settings of an agent, and what it tells about each message."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from sent.sip.flow import Flow, Target
from sent.sip.message import Message

DIALOG_METHODS = ("INVITE", "ACK", "CANCEL", "BYE", "OPTIONS", "INFO", "PRACK", "UPDATE")
"""What every agent can do, apart from `AgentConfig.methods`."""
EXTENSIONS = ("100rel", "timer")
"""Option tags that we support (RFC 3262, RFC 4028)."""
REGISTER_EXTENSIONS = ("outbound", "path")
"""And those of a registrar (RFC 5626, RFC 3327), which the application that handles REGISTER must do."""


@dataclass(frozen=True, slots=True)
class Trace:
    """One message in or out, retransmissions included. ``peer`` has ``.transport`` and ``.remote``."""

    direction: Literal["in", "out"]
    peer: Flow | Target
    message: Message
    now: float


def _own_address(place: Flow | Target) -> tuple[str, int]:
    return place.local


@dataclass(frozen=True, slots=True)
class AgentConfig:
    """Times are in seconds.

    ``advertise`` says which host and port our Via and Contact carry towards a peer. ``methods`` are the methods
    outside of a session that the application handles (each comes as `RequestReceived`); OPTIONS is always among them.
    ``session_expires`` is what we ask for in a session timer, ``min_session_expires`` the least that we accept
    (RFC 4028; 90 is its own minimum).
    """

    user_agent: str = "SENT"
    advertise: Callable[[Flow | Target], tuple[str, int]] = _own_address
    methods: frozenset[str] = frozenset({"REGISTER", "OPTIONS", "MESSAGE", "SUBSCRIBE", "NOTIFY", "PUBLISH"})
    trace: Callable[[Trace], None] | None = None
    t1: float = 0.5
    t2: float = 4.0
    t4: float = 5.0
    timer_d: float = 32.0
    trying_delay: float = 0.2
    session_expires: int = 1800
    min_session_expires: int = 90
    ring_limit: float = 300.0
    """A call that is neither answered nor refused in this time ends, in both directions."""
    max_sessions: int = 10_000
    max_transactions: int = 100_000
    max_targets: int = 10
    """How many targets of one request are tried at most."""
    ringing_again: float = 60.0
    """Ringing is repeated so often, for proxies that would give up (RFC 3261 §13.3.1.1)."""
    retry_after: int = 10
    """What a 503 says when a table is full."""

    @property
    def give_up(self) -> float:
        """64*T1: how long a request or an answer is repeated before the peer counts as gone."""
        return 64 * self.t1
