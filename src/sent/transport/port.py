"""What drives an `Agent`: real sockets (`SipTransport`) or a network in memory (`sent.testing.wire`), alike."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from sent.sip.agent import Agent
from sent.sip.events import Event
from sent.sip.flow import Flow, Target
from sent.sip.uri import SipUri

EventSink = Callable[[Event], None]


class SipPort(Protocol):
    """One event loop, one agent. After each command to the agent or to one of its sessions, call `touch`."""

    @property
    def agent(self) -> Agent: ...

    @property
    def drop(self) -> Callable[[Flow], bool] | None:
        """Asked for each datagram and each new connection, before anything is parsed; True throws it away."""

    @drop.setter
    def drop(self, hook: Callable[[Flow], bool] | None) -> None: ...

    def listen(self, sink: EventSink) -> None:
        """Deliver events to ``sink``, on the loop, in order, from now on. Set once, before the first message."""

    def now(self) -> float:
        """The clock that the agent's ``now`` is."""

    def touch(self) -> None:
        """Send what is to be sent, deliver events, arm the timer. May be called inside of ``sink``."""

    async def resolve(self, uri: SipUri) -> list[Target]:
        """Where ``uri`` is, best first (RFC 3263). Raises `sent.transport.resolver.ResolveError`: try again later."""

    def mark_failed(self, target: Target) -> None:
        """`resolve` puts ``target`` last for a minute. Done by itself for targets that time out or answer 503."""

    def why_failed(self, target: Target) -> str:
        """Why no connection to ``target`` came about, in words (a certificate that was refused, say); or empty."""

    async def close(self) -> None:
        """Close every socket. Idempotent."""
