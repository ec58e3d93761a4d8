"""A network in memory that carries SIP datagrams between agents: seeded loss, delay, duplication and reordering.

    wire = Wire(seed=7, loss=0.2, duplicate=0.1, jitter=0.05)
    alice = wire.attach(agent, "10.0.0.1")        # a `SipPort`, as `SipTransport` is one

Runs on the running loop, so on a `VirtualLoop` it takes no time.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from ipaddress import ip_address

from sent.sip.agent import Agent
from sent.sip.flow import Flow, Send, Target
from sent.sip.uri import SipUri
from sent.transport.pump import AgentPump
from sent.transport.resolver import ResolveError

Address = tuple[str, int]
MAX_LOG = 20_000


@dataclass(frozen=True, slots=True)
class Packet:
    at: float
    source: Address
    destination: Address
    data: bytes
    lost: bool

    @property
    def start_line(self) -> str:
        return self.data.partition(b"\r\n")[0].decode("utf-8", "replace")


class Wire:
    """``loss`` and ``duplicate`` are probabilities of a datagram, ``delay`` seconds one way; each datagram takes up to
    ``jitter`` more, so that later ones overtake it. ``lose`` may drop chosen packets on top: True loses one.
    """

    def __init__(
        self,
        *,
        seed: int = 1,
        loss: float = 0.0,
        delay: float = 0.01,
        jitter: float = 0.0,
        duplicate: float = 0.0,
    ) -> None:
        self.random = random.Random(seed)  # noqa: S311 - repeatability is the point
        self.loss = loss
        self.delay = delay
        self.jitter = jitter
        self.duplicate = duplicate
        self.lose: Callable[[Packet], bool] | None = None
        self.packets: deque[Packet] = deque(maxlen=MAX_LOG)
        self._loop = asyncio.get_running_loop()
        self._ports: dict[Address, WirePort] = {}
        self._names: dict[str, list[Address]] = {}

    def token(self) -> str:
        """Repeatable tokens for the agents on this wire."""
        return f"{self.random.getrandbits(96):024x}"

    def attach(self, agent: Agent, host: str, port: int = 5060) -> WirePort:
        """Raises `ValueError` when the address is taken."""
        address = (host, port)
        if address in self._ports:
            raise ValueError(f"{host}:{port} is taken on this wire")
        attached = self._ports[address] = WirePort(self, agent, address)
        return attached

    def detach(self, address: Address) -> None:
        """Cut the cable: nothing arrives there any more, nothing is said about it."""
        self._ports.pop(address, None)

    def name(self, name: str, *addresses: Address) -> None:
        """What ``name`` resolves to, best first; no address: the look-up fails."""
        self._names[name.lower()] = list(addresses)

    def addresses_of(self, uri: SipUri) -> list[Address]:
        try:
            return [(str(ip_address(uri.host)), uri.port or 5060)]
        except ValueError:
            found = self._names.get(uri.host.lower(), [])
            return [(host, uri.port or port) for host, port in found]

    def carry(self, source: Address, destination: Address, data: bytes) -> None:
        copies = 2 if self.random.random() < self.duplicate else 1
        for _ in range(copies):
            lost = self.random.random() < self.loss
            packet = Packet(self._loop.time(), source, destination, data, lost)
            if not lost and self.lose is not None and self.lose(packet):
                packet = Packet(packet.at, source, destination, data, lost=True)
            self.packets.append(packet)
            if not packet.lost:
                self._loop.call_later(self.delay + self.random.random() * self.jitter, self._arrive, packet)

    def _arrive(self, packet: Packet) -> None:
        port = self._ports.get(packet.destination)
        if port is not None:
            port.received(packet.data, packet.source)

    def start_lines(self, *, source: Address | None = None, lost: bool | None = False) -> list[str]:
        """Start lines in the order of sending, for assertions. ``lost`` None: lost ones too."""
        return [
            packet.start_line
            for packet in self.packets
            if (source is None or packet.source == source) and (lost is None or packet.lost == lost)
        ]


class WirePort(AgentPump):
    """A `SipPort` on a `Wire`: one agent at one UDP address."""

    def __init__(self, wire: Wire, agent: Agent, address: Address) -> None:
        super().__init__(agent)
        self.wire = wire
        self.address = address
        self.silent = False
        """Power off: nothing goes out and nothing is heard."""
        self._failed: dict[Address, float] = {}

    def transmit(self, send: Send) -> None:
        if self.silent:
            return
        if send.target.transport != "UDP":
            self._agent.send_failed(send.target, self.now())
            return
        self.wire.carry(self.address, send.target.remote, send.data)

    def received(self, data: bytes, source: Address) -> None:
        flow = Flow("UDP", self.address, source)
        if self._closed or self.silent or (self.drop is not None and self.drop(flow)):
            return
        self._agent.receive(data, flow, self.now())
        self.touch()

    def close_flow(self, flow: Flow) -> None:
        """There are no streams on a wire."""

    def target(self, address: Address) -> Target:
        return Target("UDP", address[0], address[1], self.address)

    async def resolve(self, uri: SipUri) -> list[Target]:
        found = self.wire.addresses_of(uri)
        if not found:
            raise ResolveError("transport.no_such_host", f"Nothing on this wire is called {uri.host}.", host=uri.host)
        now = self.now()
        found.sort(key=lambda address: self._failed.get(address, 0.0) > now)
        return [self.target(address) for address in found]

    def mark_failed(self, target: Target) -> None:
        now = self.now()
        self._failed = {remote: until for remote, until in self._failed.items() if until > now}
        self._failed[target.remote] = now + 60.0

    async def close(self) -> None:
        await super().close()
        self.wire.detach(self.address)
