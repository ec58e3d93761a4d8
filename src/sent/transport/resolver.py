"""RFC 3263 look-ups: from a SIP URI to the places to try, through the DNS, cached by TTL, failed ones last."""

from __future__ import annotations

import asyncio
import random as random_module
import socket
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from typing import Any, Literal

from sent.kit.errors import Unavailable
from sent.sip.uri import SipUri
from sent.transport.targets import (
    Naptr,
    Place,
    Question,
    Srv,
    order_by_health,
    order_naptr,
    order_srv,
    question,
    srv_name,
)

__all__ = ["Answer", "DnsError", "DnsLookup", "Place", "ResolveError", "Resolver", "dns_lookup"]

RecordType = Literal["A", "AAAA", "SRV", "NAPTR"]
Answer = tuple[list[Any], float]
"""Records (addresses as text, `Srv` or `Naptr`) and for how many seconds they hold. No such name: an empty list."""
DnsLookup = Callable[[str, RecordType], Awaitable[Answer]]

MAX_CACHED = 4_096
MAX_TTL = 3_600.0
EMPTY_TTL = 30.0
UNHEALTHY_SECONDS = 60.0
MAX_PLACES = 10


class ResolveError(Unavailable):
    """``transport.no_such_host`` or ``transport.dns_failed``. Never the last word: ask again later."""


class DnsError(Exception):
    """The DNS gave no answer: time-out, SERVFAIL, no server. Not for names that do not exist."""


class Resolver:
    """``clock`` in monotonic seconds. ``lookup`` raises `DnsError` only; ``random`` gives 0 ≤ x < 1."""

    def __init__(
        self,
        clock: Callable[[], float],
        lookup: DnsLookup | None = None,
        random: Callable[[], float] = random_module.random,
        transports: tuple[str, ...] = ("UDP", "TCP", "TLS"),
        timeout: float = 8.0,
    ) -> None:
        self._clock = clock
        self._lookup = lookup or dns_lookup
        self._random = random
        self._transports = transports
        self._timeout = timeout
        self._cache: OrderedDict[tuple[str, str], tuple[float, list[Any]]] = OrderedDict()
        self._failed: OrderedDict[tuple[str, str, int], float] = OrderedDict()

    async def resolve(self, uri: SipUri) -> list[Place]:
        """Best first, at most ten, never empty. Raises `ResolveError`."""
        asked = question(uri)
        try:
            async with asyncio.timeout(self._timeout):
                places = await self._places(asked)
        except (DnsError, TimeoutError) as error:
            words = str(error) or "no answer in time"
            raise ResolveError(
                "transport.dns_failed",
                f"The DNS could not say where {asked.host} is ({words}). It is tried again; check the name server.",
                host=asked.host,
            ) from error
        if not places:
            raise ResolveError(
                "transport.no_such_host",
                f"The DNS knows no address for {asked.host}. Check how it is written.",
                host=asked.host,
            )
        return order_by_health(places, self.is_failed)[:MAX_PLACES]

    def mark_failed(self, place: Place) -> None:
        """Put it last for 60 s."""
        key = (place.transport, place.address, place.port)
        self._failed[key] = self._clock() + UNHEALTHY_SECONDS
        self._failed.move_to_end(key)
        while len(self._failed) > MAX_CACHED:
            self._failed.popitem(last=False)

    def mark_working(self, place: Place) -> None:
        self._failed.pop((place.transport, place.address, place.port), None)

    def is_failed(self, place: Place) -> bool:
        until = self._failed.get((place.transport, place.address, place.port))
        return until is not None and until > self._clock()

    # ---- RFC 3263 §4

    async def _places(self, asked: Question) -> list[Place]:
        numeric = asked.numeric
        transport = asked.default_transport
        if numeric is not None:
            return [Place(transport, numeric, asked.default_port(transport), asked.domain)]
        if asked.port is not None:
            return await self._hosts(asked.host, transport, asked.port, asked.domain)
        for group in await self._srv_groups(asked):
            if group:
                return group
        return await self._hosts(asked.host, transport, asked.default_port(transport), asked.domain)

    async def _srv_groups(self, asked: Question) -> list[list[Place]]:
        if asked.transport is not None:
            name = srv_name(asked.transport, asked.host)
            return [await self._srv(asked.transport, name, asked.domain)] if name is not None else []
        naptr: list[Naptr] = await self._records(asked.host, "NAPTR")
        chosen = order_naptr(naptr, secure=asked.secure, transports=self._transports)
        if chosen:
            # All of them, in order: the services of one domain are each other's reserve.
            places: list[Place] = []
            for transport, name in chosen:
                places += await self._srv(transport, name, asked.domain)
            return [places]
        groups = []
        for transport in self._transports:
            name = srv_name(transport, asked.host)
            if name is not None and transport != "TLS":  # a sip: URI does not ask for TLS
                groups.append(await self._srv(transport, name, asked.domain))
        return groups

    async def _srv(self, transport: str, name: str, domain: str) -> list[Place]:
        records: list[Srv] = await self._records(name, "SRV")
        places: list[Place] = []
        for record in order_srv(records, self._random):
            places += await self._hosts(record.target.rstrip("."), transport, record.port, domain)
        return places

    async def _hosts(self, host: str, transport: str, port: int, domain: str) -> list[Place]:
        found = await asyncio.gather(self._records(host, "A"), self._records(host, "AAAA"), return_exceptions=True)
        addresses: list[str] = []
        errors: list[BaseException] = []
        for answer in found:
            if isinstance(answer, BaseException):
                errors.append(answer)
            else:
                addresses += answer
        if not addresses and errors:
            raise errors[0]
        return [Place(transport, address, port, domain) for address in addresses]

    async def _records(self, name: str, kind: RecordType) -> list[Any]:
        key = (name.lower(), kind)
        known = self._cache.get(key)
        if known is not None and known[0] > self._clock():
            return known[1]
        records, ttl = await self._lookup(name, kind)
        until = self._clock() + (min(max(ttl, 1.0), MAX_TTL) if records else EMPTY_TTL)
        self._cache[key] = (until, records)
        self._cache.move_to_end(key)
        if len(self._cache) > MAX_CACHED:
            self._cache.popitem(last=False)
        return records


class SystemDns:
    """Look-ups with the name servers of the machine, or with ``nameservers`` (addresses) on ``port``."""

    def __init__(self, nameservers: tuple[str, ...] = (), port: int = 53, lifetime: float = 4.0) -> None:
        self._nameservers = nameservers
        self._port = port
        self._lifetime = lifetime
        self._resolver: Any = None

    def _make(self) -> Any:
        # dnspython takes 40 ms to import; a node that talks to addresses only never needs it.
        import dns.asyncresolver
        import dns.resolver

        try:
            resolver = dns.asyncresolver.Resolver(configure=not self._nameservers)
        except dns.resolver.NoResolverConfiguration as error:
            raise DnsError("no name server is configured") from error
        if self._nameservers:
            resolver.nameservers = list(self._nameservers)
            resolver.port = self._port
        return resolver

    async def __call__(self, name: str, kind: RecordType) -> Answer:
        import dns.exception
        import dns.name
        import dns.resolver

        if self._resolver is None:
            self._resolver = self._make()
        try:
            answer = await self._resolver.resolve(name, kind, lifetime=self._lifetime, raise_on_no_answer=False)
        except (dns.resolver.NXDOMAIN, dns.name.LabelTooLong, dns.name.EmptyLabel, dns.name.NameTooLong):
            answer = None
        except (dns.exception.DNSException, OSError) as error:
            if kind in {"A", "AAAA"} and not self._nameservers:
                records = await _hosts_file(name, kind)
                if records:
                    return records, EMPTY_TTL
            raise DnsError(type(error).__name__) from error
        if answer is None or answer.rrset is None:
            if kind in {"A", "AAAA"} and not self._nameservers:
                return await _hosts_file(name, kind), EMPTY_TTL
            return [], EMPTY_TTL
        return [_record(item, kind) for item in answer.rrset], float(answer.rrset.ttl)


def _record(item: Any, kind: RecordType) -> Any:
    if kind == "SRV":
        return Srv(item.priority, item.weight, item.port, item.target.to_text(omit_final_dot=True))
    if kind == "NAPTR":
        return Naptr(
            item.order,
            item.preference,
            item.flags.decode("ascii", "replace"),
            item.service.decode("ascii", "replace"),
            item.replacement.to_text(omit_final_dot=True),
        )
    return item.address


async def _hosts_file(name: str, kind: RecordType) -> list[str]:
    """What the DNS does not know may stand in the hosts file (``localhost``, the names of a compose file)."""
    family = socket.AF_INET if kind == "A" else socket.AF_INET6
    try:
        found = await asyncio.get_running_loop().getaddrinfo(name, None, family=family, type=socket.SOCK_DGRAM)
    except (OSError, UnicodeError):
        return []
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


dns_lookup = SystemDns()
