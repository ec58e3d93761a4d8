"""Counts what the parts report into the metrics."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from prometheus_client import Counter

from sent.calls.ending import EndCode
from sent.calls.party import Direction
from sent.calls.registry import CallRegistry
from sent.gateway.flood import Offence
from sent.infra.telemetry import Metrics
from sent.media.port import MediaEngine
from sent.registrations.service import Registrations
from sent.sip.config import DIALOG_METHODS, Trace
from sent.sip.message import Request
from sent.trunks.directory import TrunkDirectory
from sent.trunks.links import TrunkLinks

SAMPLE_SECONDS = 5.0
_DROPPED = {
    "malformed": "malformed",
    "overload": "overload",
    "acks_unmatched": "no_transaction",
    "responses_unmatched": "no_transaction",
    "dialogs_unknown": "no_transaction",
    "connections_refused": "connection_refused",
    "connections_idle": "connection_idle",
    "connections_stuck": "peer_stuck",
    "udp_overflow": "peer_stuck",
}
"""The agent's counters, and what each counts as."""
_KNOWN_METHODS = frozenset((*DIALOG_METHODS, "REGISTER", "REFER", "NOTIFY", "SUBSCRIBE", "MESSAGE", "PUBLISH"))


class CountedCalls:
    """`calls.tools.CallMetrics`."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def started(self) -> None:
        pass  # calls that are up are sampled; a counter of starts would say nothing that the endings do not

    def ended(self, code: EndCode, direction: Direction | None, talk_seconds: float) -> None:
        del talk_seconds
        way = (direction or Direction.INTERNAL).value
        self._metrics.calls_ended.of(direction=way, ending=code.value).inc()

    def ignored(self, events: int) -> None:
        self._metrics.leg_events_ignored.inc(events)


def count_message(metrics: Metrics, trace: Trace) -> None:
    """One SIP message in or out."""
    way = "received" if trace.direction == "in" else "sent"
    message = trace.message
    if isinstance(message, Request):
        if message.method in _KNOWN_METHODS:
            metrics.sip_requests.of(way=way, method=message.method, transport=trace.peer.transport.lower()).inc()
        return
    metrics.sip_responses.of(way=way, status=f"{message.status // 100}xx").inc()
    if way == "sent" and message.status != 401 and (message.headers.get("cseq") or "").endswith("REGISTER"):
        outcome = "ok" if message.status < 300 else "failed" if message.status >= 500 else "refused"
        metrics.registrations.of(outcome=outcome).inc()


class RefusedCounter:
    """Carries what agent and flood guard count for themselves over into the metrics."""

    def __init__(self, metrics: Metrics, agent: Mapping[str, int], flood: Mapping[str, int]) -> None:
        self._sources: list[tuple[Mapping[str, int], str, Counter]] = [
            (agent, name, metrics.sip_dropped.of(why=why)) for name, why in _DROPPED.items()
        ]
        self._sources.append((flood, "dropped", metrics.sip_dropped.of(why="banned")))
        self._sources.append((flood, "bans", metrics.sip_bans))
        for offence in Offence:
            what = offence.name.lower()
            self._sources.append((flood, what, metrics.sip_offences.of(what=what)))
        self._seen = [0] * len(self._sources)

    def take(self) -> None:
        """Count what came since the last time."""
        for n, (counters, name, metric) in enumerate(self._sources):
            now = counters.get(name, 0)
            metric.inc(now - self._seen[n])
            self._seen[n] = now


async def sample(
    metrics: Metrics,
    engine: MediaEngine,
    calls: CallRegistry,
    registrations: Registrations,
    directory: TrunkDirectory,
    links: TrunkLinks,
    refused: RefusedCounter,
) -> None:
    """Every few seconds: what is measured by looking, not by counting. Runs until cancelled."""
    while True:
        health = engine.health()
        metrics.media_health(
            legs=health.legs,
            sockets=health.sockets,
            late_p50_ms=health.late_p50_ms,
            late_p99_ms=health.late_p99_ms,
            late_max_ms=health.late_max_ms,
        )
        refused.take()
        metrics.calls_active.set(len(calls))
        metrics.registrations_active.set(len(registrations))
        metrics.trunks_up.set(sum(links.up(account.trunk.id) for account in directory.accounts()))
        await asyncio.sleep(SAMPLE_SECONDS)
