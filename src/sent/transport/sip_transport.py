"""`SipTransport`: the agent on real sockets, UDP, TCP and TLS."""

from __future__ import annotations

import asyncio
import errno
import os
import socket
import ssl
from collections import Counter, OrderedDict
from collections.abc import Sequence

from sent.kit.errors import Unavailable
from sent.sip.agent import Agent
from sent.sip.flow import Flow, Send, Target
from sent.sip.uri import SipUri
from sent.transport.addresses import LocalAddresses, is_ipv6, is_wildcard
from sent.transport.pump import AgentPump
from sent.transport.resolver import Place, Resolver
from sent.transport.settings import TransportSettings, client_tls_context
from sent.transport.stream import StreamConnection
from sent.transport.udp import UdpSocket

Key = tuple[str, str, int]

MAX_FAILURES = 1_000
"""Places whose last failure is kept in words."""


class SipTransport(AgentPump):
    """Make it inside of the running loop; then ``listen_…`` and `listen`. See `SipPort` for the rest."""

    def __init__(
        self, agent: Agent, settings: TransportSettings | None = None, resolver: Resolver | None = None
    ) -> None:
        super().__init__(agent)
        self.settings = settings or TransportSettings()
        self.addresses = LocalAddresses()
        self.resolver = resolver or Resolver(self.loop.time)
        self._udp: list[UdpSocket] = []
        self._servers: list[tuple[str, asyncio.Server]] = []
        self._by_flow: dict[Flow, StreamConnection] = {}
        self._by_remote: dict[Key, StreamConnection] = {}
        self._per_address: Counter[str] = Counter()
        self._connecting: dict[Place, list[Send]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_id = 0
        self._client_tls = self.settings.client_tls
        self._failures: OrderedDict[Place, str] = OrderedDict()

    # ---- listening

    async def listen_udp(self, host: str, port: int, setting: str = "sip.udp") -> int:
        """Returns the port (chosen by the kernel for 0). Raises `Unavailable` ``transport.port_taken``, naming
        ``setting``."""
        sock = self._bind(socket.SOCK_DGRAM, "UDP", host, port, setting)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, self.settings.udp_receive_buffer)
        _, protocol = await self.loop.create_datagram_endpoint(lambda: UdpSocket(self), sock=sock)
        self._udp.append(protocol)
        return protocol.bound[1]

    async def listen_tcp(self, host: str, port: int, setting: str = "sip.tcp") -> int:
        return await self._listen_stream("TCP", host, port, setting, None)

    async def listen_tls(self, host: str, port: int, context: ssl.SSLContext, setting: str = "sip.tls") -> int:
        """``context`` as from `server_tls_context`. TLS 1.2 is the least."""
        context.minimum_version = max(context.minimum_version, ssl.TLSVersion.TLSv1_2)
        return await self._listen_stream("TLS", host, port, setting, context)

    async def _listen_stream(
        self, name: str, host: str, port: int, setting: str, context: ssl.SSLContext | None
    ) -> int:
        sock = self._bind(socket.SOCK_STREAM, name, host, port, setting)
        server = await self.loop.create_server(
            lambda: StreamConnection(self, name, outgoing=False),
            sock=sock,
            ssl=context,
            backlog=1024,
            ssl_handshake_timeout=self.settings.handshake_timeout if context is not None else None,
        )
        self._servers.append((name, server))
        return int(sock.getsockname()[1])

    def _bind(self, kind: socket.SocketKind, name: str, host: str, port: int, setting: str) -> socket.socket:
        family = socket.AF_INET6 if is_ipv6(host) else socket.AF_INET
        sock = socket.socket(family, kind)
        try:
            if kind is socket.SOCK_STREAM:
                # Not for UDP: there it would let a second process take half of our datagrams.
                sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if family is socket.AF_INET6:
                sock.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
            sock.setblocking(False)
            sock.bind((host, port))
        except OSError as error:
            sock.close()
            raise _cannot_bind(error, name, host, port, setting) from error
        return sock

    @property
    def is_listening(self) -> bool:
        return bool(self._udp or self._servers)

    # ---- sending

    def transmit(self, send: Send) -> None:
        target = send.target
        if target.transport == "UDP":
            udp = self._udp_for(target)
            if udp is None or not udp.send(send.data, target.remote):
                self._agent.send_failed(target, self.now())
            return
        connection = self._connection_for(target)
        if connection is not None:
            if not connection.write(send.data):
                self._agent.send_failed(target, self.now())
        elif target.flow is not None or target.transport not in {"TCP", "TLS"}:
            self._agent.send_failed(target, self.now())  # that connection is gone, and another would not reach a phone
        else:
            self._connect(send)

    def _udp_for(self, target: Target) -> UdpSocket | None:
        """The socket that the target's local port belongs to, else the first of its family."""
        wanted = target.flow.local if target.flow is not None else target.local
        ipv6 = is_ipv6(target.address)
        fitting = [udp for udp in self._udp if is_ipv6(udp.bound[0]) == ipv6]
        for udp in fitting:
            if udp.bound == wanted or (is_wildcard(udp.bound[0]) and udp.bound[1] == wanted[1]):
                return udp
        return fitting[0] if fitting else None

    def _connection_for(self, target: Target) -> StreamConnection | None:
        if target.flow is not None:
            return self._by_flow.get(target.flow)
        connection = self._by_remote.get(_key(target))
        if connection is None or (target.transport == "TLS" and not _same_name(connection, target)):
            return None
        return connection

    def _connect(self, send: Send) -> None:
        place = _place(send.target)  # with the name that the certificate will be checked for
        waiting = self._connecting.get(place)
        if waiting is not None:
            if len(waiting) >= self.settings.max_queued_while_connecting:
                self._agent.send_failed(send.target, self.now())
            else:
                waiting.append(send)
            return
        if len(self._by_flow) + len(self._connecting) >= self.settings.max_connections:
            self._agent.counters["connections_refused"] += 1
            self._agent.send_failed(send.target, self.now())
            return
        self._connecting[place] = [send]
        task = self.loop.create_task(self._open(place, send.target))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _open(self, place: Place, target: Target) -> None:
        tls: ssl.SSLContext | None = None
        try:
            if target.transport == "TLS":
                if self._client_tls is None:
                    self._client_tls = client_tls_context()  # reads all the system's authorities: 20 ms, 1 MB
                tls = self._client_tls
            async with asyncio.timeout(self.settings.connect_timeout + (self.settings.handshake_timeout if tls else 0)):
                _, connection = await self.loop.create_connection(
                    lambda: StreamConnection(self, target.transport, target.server_name, outgoing=True),
                    target.address,
                    target.port,
                    ssl=tls,
                    server_hostname=(target.server_name or target.address) if tls is not None else None,
                )
        except (OSError, TimeoutError) as error:  # SSLError is an OSError
            self._failures[place] = _why(error)
            if len(self._failures) > MAX_FAILURES:
                self._failures.popitem(last=False)
            self._agent.counters["connects_failed"] += 1
            self.resolver.mark_failed(place)
            for send in self._connecting.pop(place, []):
                self._agent.send_failed(send.target, self.now())
            self.touch()
            return
        self._failures.pop(place, None)
        for send in self._connecting.pop(place, []):
            if not connection.write(send.data):
                self._agent.send_failed(send.target, self.now())
        self.touch()

    # ---- from the sockets

    def received(self, data: bytes, flow: Flow) -> None:
        if self._closed or (flow.transport == "UDP" and self.drop is not None and self.drop(flow)):
            return
        self._agent.receive(data, flow, self.now())
        self.touch()

    def next_connection_id(self) -> int:
        self._last_id += 1
        return self._last_id

    def connection_opened(self, connection: StreamConnection) -> bool:
        """False: refuse it."""
        flow = connection.flow
        assert flow is not None
        host = flow.remote[0]
        if not connection.outgoing:
            if self._closed or (self.drop is not None and self.drop(flow)):
                return False
            if (
                len(self._by_flow) >= self.settings.max_connections
                or self._per_address[host] >= self.settings.max_connections_per_address
            ):
                self._agent.counters["connections_refused"] += 1
                return False
        self._per_address[host] += 1
        self._by_flow[flow] = connection
        self._by_remote[flow.transport, host, flow.remote[1]] = connection
        return True

    def connection_closed(self, connection: StreamConnection) -> None:
        flow = connection.flow
        if flow is None or self._by_flow.pop(flow, None) is None:
            return
        host = flow.remote[0]
        self._per_address[host] -= 1
        if not self._per_address[host]:
            del self._per_address[host]
        key = (flow.transport, host, flow.remote[1])
        if self._by_remote.get(key) is connection:
            del self._by_remote[key]
        if not self._closed:
            self._agent.flow_closed(flow, self.now())
            self.touch()

    def close_flow(self, flow: Flow) -> None:
        connection = self._by_flow.get(flow)
        if connection is not None:
            connection.close()

    # ---- finding

    async def resolve(self, uri: SipUri) -> list[Target]:
        places = await self.resolver.resolve(uri)
        targets = [self._target(place) for place in places]
        return [target for target in targets if target is not None]

    def mark_failed(self, target: Target) -> None:
        """Try ``target`` last for a while: it timed out or answered 503."""
        self.resolver.mark_failed(_place(target))

    def why_failed(self, target: Target) -> str:
        return self._failures.get(_place(target), "")

    def _target(self, place: Place) -> Target | None:
        port = self._listening_port(place)
        if port is None:
            return None
        local = (self.addresses.towards(place.address, self.now()), port)
        if place.transport == "UDP":
            udp = self._udp_for(Target("UDP", place.address, place.port, local))
            if udp is not None:
                local = udp.local_towards(place.address)
        return Target(place.transport, place.address, place.port, local, place.server_name)

    def _listening_port(self, place: Place) -> int | None:
        """The port for Via and Contact. None: no socket for this transport and family."""
        if place.transport == "UDP":
            ipv6 = is_ipv6(place.address)
            return next((udp.bound[1] for udp in self._udp if is_ipv6(udp.bound[0]) == ipv6), None)
        if place.transport not in {"TCP", "TLS"}:
            return None
        for name, server in self._servers:
            if name == place.transport and server.sockets:
                return int(server.sockets[0].getsockname()[1])
        return 5061 if place.transport == "TLS" else 5060

    @property
    def connections(self) -> Sequence[Flow]:
        return tuple(self._by_flow)

    async def close(self) -> None:
        if self._closed:
            return
        await super().close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for _, server in self._servers:
            server.close()
        for connection in list(self._by_flow.values()):
            connection.abort()
        for udp in self._udp:
            udp.close()
        # abort() and close() take effect in the next turns of the loop; without these the sockets would outlive us.
        for _, server in self._servers:
            await server.wait_closed()
        await asyncio.sleep(0)


def _key(target: Target) -> Key:
    return (target.transport, target.address, target.port)


def _place(target: Target) -> Place:
    return Place(target.transport, target.address, target.port, target.server_name)


def _why(error: OSError | TimeoutError) -> str:
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its TLS certificate was refused: {error.verify_message.rstrip('.')}"
    if isinstance(error, ssl.SSLError):
        return f"the TLS handshake failed: {(error.reason or 'no reason given').lower().replace('_', ' ')}"
    if isinstance(error, TimeoutError):
        return "no connection came about in time"
    return os.strerror(error.errno).lower() if error.errno else "the connection broke"


def _same_name(connection: StreamConnection, target: Target) -> bool:
    """A certificate was checked for one name; another name needs another connection (RFC 5923 §8)."""
    return not connection.outgoing or connection.server_name == target.server_name


def _cannot_bind(error: OSError, name: str, host: str, port: int, setting: str) -> Unavailable:
    where = f"{name} port {port} on {host}"
    if error.errno == errno.EADDRINUSE:
        return Unavailable(
            "transport.port_taken",
            f"{where} is taken by another program. Stop it, or set another port in {setting}.",
            port=port,
            setting=setting,
        )
    if error.errno == errno.EACCES:
        return Unavailable(
            "transport.port_forbidden",
            f"{where} needs privileges that this process has not. Use a port above 1023 in {setting}.",
            port=port,
            setting=setting,
        )
    if error.errno == errno.EADDRNOTAVAIL:
        return Unavailable(
            "transport.not_our_address",
            f"{where} cannot be opened: {host} is no address of this machine. Set SENT_BIND to one that is"
            " (`ip address` lists them), or to 0.0.0.0 for all.",
            port=port,
            setting="SENT_BIND",
        )
    return Unavailable(
        "transport.cannot_listen",
        f"{where} cannot be opened ({error.strerror}). Check {setting} and the address in SENT_BIND.",
        port=port,
        setting=setting,
    )
