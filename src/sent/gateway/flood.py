"""Who asks too much without showing who they are. Pure: time is an argument, memory is bounded.

Every source address has a bucket of tokens. What is unauthenticated, failed or malformed takes some; a request
that turns out to be authenticated gives its token back, and the bucket grows with the devices that have
authenticated from there, so an office of 500 phones behind one address may come back at once after a power cut.
Challenges are sent without keeping anything of the request, so its retransmissions arrive here: as many as a client of
RFC 3261 may send count once. An empty bucket bans the address for a time that doubles with each ban.

Flows that have authenticated are trusted: neither a ban (UDP sources can be forged) nor their own challenges
count against them. IPv6 sources are counted per /64, which is what one customer has.
"""

from __future__ import annotations

import ipaddress
from collections import OrderedDict
from dataclasses import dataclass
from enum import Enum, auto

from sent.sip.flow import Flow

SCANNERS = ("friendly-scanner", "sipvicious", "sipcli", "sip-scan", "sundayddr", "vaxsipuseragent", "pplsip")
"""User-Agents that only scanners send; compared as substrings without case."""


class Offence(Enum):
    UNAUTHENTICATED = auto()
    UNKNOWN_USER = auto()
    WRONG_PASSWORD = auto()
    MALFORMED = auto()
    SCANNER = auto()


COST = {
    Offence.UNAUTHENTICATED: 1.0,
    Offence.UNKNOWN_USER: 2.0,
    Offence.WRONG_PASSWORD: 4.0,
    Offence.MALFORMED: 2.0,
    Offence.SCANNER: 20.0,
}
"""Tokens that each takes."""


FREE_REPEATS = 11
"""How often one request may come: timer E of RFC 3261 §17.1.2.2 repeats it ten times before it gives up."""
MAX_REMEMBERED = 10_000
"""Requests that are known again when they are repeated."""


@dataclass(frozen=True, slots=True)
class FloodLimits:
    """``burst`` tokens and ``per_device`` more for each device (up to ``devices``) that has authenticated from an
    address; ``per_second`` of them come back; times in seconds."""

    burst: float = 60.0
    per_device: float = 2.0
    devices: int = 2_000
    per_second: float = 5.0
    first_ban: float = 10.0
    longest_ban: float = 3600.0
    forget_bans_after: float = 3600.0
    sources: int = 20_000
    trusted: int = 50_000
    trust: float = 7200.0


@dataclass(slots=True)
class _Source:
    tokens: float
    at: float
    banned_until: float = 0.0
    bans: int = 0
    devices: int = 0


class FloodGuard:
    """``counters``: ``dropped`` (while banned), ``bans``, and one per `Offence` in lower case."""

    def __init__(self, limits: FloodLimits | None = None) -> None:
        self._limits = limits or FloodLimits()
        self._sources: OrderedDict[str, _Source] = OrderedDict()
        self._trusted: OrderedDict[Flow, float] = OrderedDict()
        self._repeats: OrderedDict[int, int] = OrderedDict()
        self.counters: dict[str, int] = {"dropped": 0, "bans": 0, **{o.name.lower(): 0 for o in Offence}}

    def admit(self, flow: Flow, now: float) -> bool:
        """False: drop what came, without an answer. Cheap; called for everything that arrives."""
        source = self._sources.get(source_key(flow.remote[0]))
        if source is None or source.banned_until <= now or self.is_trusted(flow, now):
            return True
        self.counters["dropped"] += 1
        return False

    def offended(self, flow: Flow, offence: Offence, now: float, *, branch: str = "") -> None:
        """Take tokens; may ban. A trusted flow pays for wrong passwords only.

        ``branch`` is that of the request, where it can be read: what repeats it costs nothing.
        """
        if branch and self._is_repeated(hash((flow.remote, offence, branch))):
            return
        self.counters[offence.name.lower()] += 1
        if offence is not Offence.WRONG_PASSWORD and self.is_trusted(flow, now):
            return
        source = self._source(flow, now)
        if source.banned_until > now:
            return
        source.tokens -= COST[offence]
        if source.tokens < 0:
            self._ban(source, now)

    def authenticated(self, flow: Flow, now: float) -> None:
        """The request after a challenge was good: give the challenge's token back and trust this flow."""
        source = self._source(flow, now)
        if flow not in self._trusted:
            source.devices = min(source.devices + 1, self._limits.devices)
            source.tokens += self._limits.per_device
        source.tokens = min(self._capacity(source), source.tokens + COST[Offence.UNAUTHENTICATED])
        self._trusted[flow] = now + self._limits.trust
        self._trusted.move_to_end(flow)
        while len(self._trusted) > self._limits.trusted:
            self._trusted.popitem(last=False)

    def flow_closed(self, flow: Flow) -> None:
        self._trusted.pop(flow, None)

    def is_trusted(self, flow: Flow, now: float) -> bool:
        return self._trusted.get(flow, 0.0) > now

    def banned(self, now: float) -> int:
        """How many sources are banned, for metrics."""
        return sum(source.banned_until > now for source in self._sources.values())

    def __len__(self) -> int:
        return len(self._sources)

    def _is_repeated(self, key: int) -> bool:
        count = self._repeats[key] = self._repeats.get(key, 0) + 1
        if len(self._repeats) > MAX_REMEMBERED:
            self._repeats.popitem(last=False)
        return 1 < count <= FREE_REPEATS

    def _source(self, flow: Flow, now: float) -> _Source:
        key = source_key(flow.remote[0])
        source = self._sources.get(key)
        if source is None:
            source = self._sources[key] = _Source(tokens=self._limits.burst, at=now)
            while len(self._sources) > self._limits.sources:
                self._sources.popitem(last=False)
        self._sources.move_to_end(key)
        source.tokens = min(self._capacity(source), source.tokens + (now - source.at) * self._limits.per_second)
        source.at = now
        return source

    def _capacity(self, source: _Source) -> float:
        return self._limits.burst + self._limits.per_device * source.devices

    def _ban(self, source: _Source, now: float) -> None:
        if now - source.banned_until > self._limits.forget_bans_after:
            source.bans = 0
        seconds = min(self._limits.longest_ban, self._limits.first_ban * 2.0**source.bans)
        source.bans = min(source.bans + 1, 32)
        source.banned_until = now + seconds
        source.tokens = self._capacity(source) / 2
        self.counters["bans"] += 1


def is_scanner(user_agent: str) -> bool:
    lowered = user_agent.lower()
    return any(name in lowered for name in SCANNERS)


def source_key(address: str) -> str:
    """The address, or its /64 for IPv6 (an IPv4 address mapped into IPv6 counts as IPv4)."""
    if ":" not in address:
        return address
    try:
        parsed = ipaddress.IPv6Address(address.partition("%")[0])
    except ValueError:
        return address
    if parsed.ipv4_mapped is not None:
        return str(parsed.ipv4_mapped)
    return str(ipaddress.IPv6Address(int(parsed) >> 64 << 64)) + "/64"
