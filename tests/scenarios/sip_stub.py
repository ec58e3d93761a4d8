"""A bare agent on a wire with a handler written by the test: registrars, proxies that fork, carriers that refuse."""

from __future__ import annotations

from collections.abc import Callable

from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.sip.events import Event, InviteReceived, RequestReceived
from sent.testing.wire import Packet, Wire, WirePort


class Stub:
    """Keeps its events; ``handler`` may answer them."""

    def __init__(
        self,
        wire: Wire,
        host: str,
        handler: Callable[[Stub, Event], None] | None = None,
        config: AgentConfig | None = None,
    ) -> None:
        self.agent = Agent(config or AgentConfig(user_agent="Stub"), wire.token)
        self.port: WirePort = wire.attach(self.agent, host)
        self.events: list[Event] = []
        self._handler = handler
        self.port.listen(self._handle)

    def now(self) -> float:
        return self.port.now()

    def _handle(self, event: Event) -> None:
        self.events.append(event)
        if self._handler is not None:
            self._handler(self, event)

    @property
    def requests(self) -> list[RequestReceived]:
        return [event for event in self.events if isinstance(event, RequestReceived)]

    @property
    def invites(self) -> list[InviteReceived]:
        return [event for event in self.events if isinstance(event, InviteReceived)]


class Raw:
    """No agent at all: a test that writes and reads datagrams itself."""

    def __init__(self, wire: Wire, host: str, on_datagram: Callable[[bytes], None] | None = None) -> None:
        self.address = (host, 5060)
        self.heard: list[bytes] = []
        self._wire = wire
        self._on_datagram = on_datagram
        wire._ports[self.address] = self  # type: ignore[assignment]  # it has the one method that the wire calls

    def send(self, data: bytes, to: tuple[str, int]) -> None:
        self._wire.carry(self.address, to, data)

    def received(self, data: bytes, source: tuple[str, int]) -> None:
        self.heard.append(data)
        if self._on_datagram is not None:
            self._on_datagram(data)

    @property
    def start_lines(self) -> list[str]:
        return [data.partition(b"\r\n")[0].decode() for data in self.heard]


__all__ = ["Packet", "Raw", "Stub"]
