"""The list of all metrics, in a registry of our own: what each is called, its labels and their values.

One list, so that an administrator finds them in one place and no two modules count the same thing. It knows the
names only; who counts is above.
"""

from __future__ import annotations

from collections.abc import Iterable

from prometheus_client import CollectorRegistry, Counter, Gauge, ProcessCollector, generate_latest

from sent.infra.telemetry.family import Family

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"

_METHODS = (
    "INVITE", "ACK", "BYE", "CANCEL", "REGISTER", "OPTIONS", "PRACK", "UPDATE", "INFO", "REFER", "NOTIFY",
    "SUBSCRIBE", "MESSAGE", "PUBLISH",
)  # fmt: skip
_ENDINGS = (
    "hung_up", "cancelled", "busy", "declined", "no_answer", "not_found", "offline", "no_common_codec", "not_allowed",
    "limit_reached", "carrier_refused", "carrier_unreachable", "session_expired", "media_lost", "answered_elsewhere",
    "completed", "shut_down", "interrupted", "failed",
)  # fmt: skip
_DIRECTIONS = ("internal", "inbound", "outbound")
_TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")
_WAYS = ("received", "sent")
_CLASSES = ("1xx", "2xx", "3xx", "4xx", "5xx", "6xx")
_DROPS = ("malformed", "banned", "no_transaction", "overload", "connection_refused", "connection_idle", "peer_stuck")
_OFFENCES = ("unauthenticated", "unknown_user", "wrong_password", "malformed", "scanner")
_OUTCOMES = ("ok", "failed", "refused")
_QUANTILES = ("p50", "p99", "max")


class Metrics:
    """All metrics of one process. Made once by `sent.app`, handed to those who count."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        ProcessCollector(registry=self.registry)
        self.calls_active = Gauge("sent_calls_active", "Calls that are up now.", registry=self.registry)
        self.leg_events_ignored = Counter(
            "sent_leg_events_ignored", "Reports of legs that came late, twice or out of order.", registry=self.registry
        )
        self.calls_ended = self._counter(
            "sent_calls_ended",
            "Calls that ended, by why (the codes of EndCode).",
            direction=_DIRECTIONS,
            ending=_ENDINGS,
        )
        self.registrations_active = Gauge(
            "sent_registrations_active", "Bindings of devices that are valid now.", registry=self.registry
        )
        self.registrations = self._counter(
            "sent_registrations",
            "REGISTER requests by outcome, challenges left out.",
            outcome=_OUTCOMES,
        )
        self.trunks_up = Gauge("sent_trunks_up", "Carriers that can be used now.", registry=self.registry)
        self.sip_requests = self._counter(
            "sent_sip_requests", "SIP requests.", way=_WAYS, method=_METHODS, transport=_TRANSPORTS
        )
        self.sip_responses = self._counter("sent_sip_responses", "SIP responses.", way=_WAYS, status=_CLASSES)
        self.sip_dropped = self._counter("sent_sip_dropped", "SIP messages not processed, by why.", why=_DROPS)
        self.sip_offences = self._counter(
            "sent_sip_offences", "What counts towards a ban of its sender; a phone's first, unauthenticated try too.",
            what=_OFFENCES,
        )  # fmt: skip
        self.sip_bans = Counter("sent_sip_bans", "Addresses that were banned for a time.", registry=self.registry)
        self.media_late = self._gauge(
            "sent_media_late_seconds", "How late the media threads woke, last ten seconds.", quantile=_QUANTILES
        )
        self.media_legs = Gauge("sent_media_legs", "Open legs of the media engine.", registry=self.registry)
        self.media_sockets = Gauge("sent_media_sockets", "Open sockets of the media engine.", registry=self.registry)
        self.recordings = self._counter(
            "sent_recordings", "Recordings by what became of them.", outcome=("started", "stored", "failed", "refused")
        )
        self.jobs = self._counter("sent_jobs", "Background jobs by outcome.", outcome=("ok", "failed"))

    def media_health(
        self, *, legs: int, sockets: int, late_p50_ms: float, late_p99_ms: float, late_max_ms: float
    ) -> None:
        """What `MediaEngine.health` said."""
        self.media_legs.set(legs)
        self.media_sockets.set(sockets)
        for quantile, late in zip(_QUANTILES, (late_p50_ms, late_p99_ms, late_max_ms), strict=True):
            self.media_late.of(quantile=quantile).set(late / 1_000)

    def exposition(self) -> bytes:
        """The text that Prometheus scrapes."""
        return generate_latest(self.registry)

    def _counter(self, name: str, words: str, **allowed: Iterable[str]) -> Family[Counter]:
        return Family(Counter(name, words, tuple(allowed), registry=self.registry), allowed)

    def _gauge(self, name: str, words: str, **allowed: Iterable[str]) -> Family[Gauge]:
        return Family(Gauge(name, words, tuple(allowed), registry=self.registry), allowed)
