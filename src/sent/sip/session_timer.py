"""Session timers: RFC 4028. Who refreshes, how often, and when a peer that stays silent counts as gone.

The negotiation is pure; `SessionTimer` keeps the two alarms of one session:

    refresher:      refresh at half of the interval                                (§10)
    both:           end with BYE at interval - min(32, interval / 3) without one    (§10)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sent.sip.errors import RemoteProtocolError
from sent.sip.header_extras import parse_min_se, parse_session_expires
from sent.sip.message import Request, Response
from sent.sip.timers import Timer, Timers


@dataclass(frozen=True, slots=True)
class Agreement:
    """``seconds`` between refreshes, and whether they are ours to send."""

    seconds: int
    we_refresh: bool


class IntervalTooSmall(Exception):
    """Answer 422 with our Min-SE (§9)."""


def agree_as_server(request: Request, wanted: int, minimum: int) -> tuple[Agreement | None, list[tuple[str, str]]]:
    """What an INVITE or UPDATE asks, and the header fields of our 2xx. ``wanted`` 0: no timers of our own wish.

    Raises `IntervalTooSmall`, and `RemoteProtocolError` for malformed header fields.
    """
    value = request.headers.get("Session-Expires")
    supports = "timer" in request.supported or "timer" in request.require
    if value is None:
        if not wanted:
            return None, []
        # §9: the caller knows no timers or wants none. We refresh, which needs nothing from it (figure 3 of the RFC).
        min_se = request.headers.get("Min-SE")
        seconds = max(wanted, parse_min_se(min_se) if min_se else 0)
        return Agreement(seconds, True), [("Session-Expires", f"{seconds};refresher=uas")]
    asked = parse_session_expires(value)
    if asked.seconds < minimum:
        raise IntervalTooSmall
    seconds = asked.seconds
    if wanted and wanted < seconds:
        min_se = request.headers.get("Min-SE")
        seconds = max(wanted, minimum, parse_min_se(min_se) if min_se else 0)
    refresher = asked.refresher or ("uac" if supports else "uas")
    if not supports:
        refresher = "uas"
    headers = [("Session-Expires", f"{seconds};refresher={refresher}")]
    if refresher == "uac":
        headers.append(("Require", "timer"))  # §9, table 2
    return Agreement(seconds, refresher == "uas"), headers


def agree_as_client(response: Response, wanted: int) -> Agreement | None:
    """What a 2xx says. A server without timers leaves the refreshing to us, if we want it (§7.2)."""
    value = response.headers.get("Session-Expires")
    if value is None:
        return Agreement(wanted, True) if wanted else None
    try:
        agreed = parse_session_expires(value)
    except RemoteProtocolError:
        return Agreement(wanted, True) if wanted else None
    # A server may not go below what we asked as Min-SE; one that does would have us refresh without pause.
    return Agreement(max(agreed.seconds, 90), agreed.refresher != "uas")


def request_headers(seconds: int, minimum: int, refresher: str | None) -> list[tuple[str, str]]:
    """§7.1 for an INVITE or UPDATE of ours. ``refresher`` None leaves the choice to the other side."""
    if not seconds:
        return []
    suffix = f";refresher={refresher}" if refresher else ""
    return [("Session-Expires", f"{max(seconds, minimum)}{suffix}"), ("Min-SE", str(minimum))]


class SessionTimer:
    __slots__ = ("_expired", "_expiry", "_refresh", "_refresh_alarm", "_timers", "agreement")

    def __init__(self, timers: Timers, refresh: Callable[[float], None], expired: Callable[[float], None]) -> None:
        self._timers = timers
        self._refresh = refresh
        self._expired = expired
        self._refresh_alarm: Timer | None = None
        self._expiry: Timer | None = None
        self.agreement: Agreement | None = None

    def restart(self, agreement: Agreement | None, now: float) -> None:
        """After every 2xx to INVITE or UPDATE, sent or received."""
        self.stop()
        self.agreement = agreement
        if agreement is None:
            return
        seconds = agreement.seconds
        self._expiry = self._timers.arm(now + seconds - min(32.0, seconds / 3), self._expired)
        if agreement.we_refresh:
            self._refresh_alarm = self._timers.arm(now + seconds / 2, self._refresh)

    def refresh_again(self, at: float) -> None:
        """A refresh failed for now (491, 500, 503): try once more before the interval is over."""
        self._timers.cancel(self._refresh_alarm)
        self._refresh_alarm = self._timers.arm(at, self._refresh)

    def stop(self) -> None:
        self._timers.cancel(self._refresh_alarm)
        self._timers.cancel(self._expiry)
        self._refresh_alarm = self._expiry = None
