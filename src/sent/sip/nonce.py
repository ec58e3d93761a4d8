"""Server nonces that need no memory until they are used, and replay protection by nonce count (RFC 7616 §5.12).

A nonce is the time of its birth and a serial number under an HMAC, so that a flood of unauthenticated requests
allocates nothing. Counts are kept only for nonces that somebody used with right credentials, in a bounded table.
"""

from __future__ import annotations

import binascii
import hmac
import struct
from base64 import urlsafe_b64decode, urlsafe_b64encode
from dataclasses import dataclass
from enum import StrEnum

_PAYLOAD = struct.Struct(">QQ")
_MAC_LENGTH = 17
"""With the payload 33 octets, which base64 writes without padding."""
_NONCE_LENGTH = (_PAYLOAD.size + _MAC_LENGTH) * 4 // 3

WINDOW = 64
"""Counts may arrive out of order (UDP) by this much."""


class NonceCheck(StrEnum):
    OK = "ok"
    STALE = "stale"
    """Once ours, but too old (or its count was forgotten): challenge again with ``stale=true``."""
    REPLAYED = "replayed"
    """This count was seen already. Challenge again, with a new nonce."""
    FORGED = "forged"
    """Not made with this secret: made up, or from before a restart. Treat it like stale if the rest is right."""


@dataclass(slots=True)
class _Counts:
    issued_ms: int
    highest: int = 0
    seen: int = 0
    """Bit n: the count ``highest - n`` was seen."""


class NonceBook:
    """``secret`` is at least 16 random octets; a new one at each start is fine. Times are monotonic seconds."""

    def __init__(self, secret: bytes, *, lifetime: float = 3600.0, max_used: int = 65_536) -> None:
        self._secret = secret
        self._lifetime_ms = int(lifetime * 1000)
        self._max_used = max_used
        self._serial = 0
        self._used: dict[int, _Counts] = {}
        self._forgotten = 0
        """Unknown serial numbers up to here may have been used: their counts were dropped to stay in bounds."""

    def issue(self, now: float) -> str:
        self._serial += 1
        payload = _PAYLOAD.pack(int(now * 1000), self._serial)
        return urlsafe_b64encode(payload + self._mac(payload)).decode()

    def check(self, nonce: str, nc: int | None, now: float) -> NonceCheck:
        """Check a nonce and count its use. ``nc`` None (RFC 2069 clients) counts as 1: such a nonce works once.

        Call this after `digest.verify` has succeeded: the table must not fill with what anybody can send.
        """
        payload = self._open(nonce)
        if payload is None:
            return NonceCheck.FORGED
        issued_ms, serial = payload
        now_ms = int(now * 1000)
        if not 0 <= now_ms - issued_ms <= self._lifetime_ms:
            return NonceCheck.STALE
        counts = self._used.get(serial)
        if counts is None:
            if serial <= self._forgotten:
                return NonceCheck.STALE
            counts = self._remember(serial, issued_ms, now_ms)
        return NonceCheck.OK if _count(counts, 1 if nc is None else nc) else NonceCheck.REPLAYED

    def _mac(self, payload: bytes) -> bytes:
        return hmac.digest(self._secret, payload, "sha256")[:_MAC_LENGTH]

    def _open(self, nonce: str) -> tuple[int, int] | None:
        if len(nonce) != _NONCE_LENGTH or not nonce.isascii():
            return None
        try:
            octets = urlsafe_b64decode(nonce)
        except (binascii.Error, ValueError):
            return None
        payload, mac = octets[: _PAYLOAD.size], octets[_PAYLOAD.size :]
        if not hmac.compare_digest(mac, self._mac(payload)):
            return None
        issued_ms, serial = _PAYLOAD.unpack(payload)
        return issued_ms, serial

    def _remember(self, serial: int, issued_ms: int, now_ms: int) -> _Counts:
        while self._used:
            oldest = next(iter(self._used))
            expired = now_ms - self._used[oldest].issued_ms > self._lifetime_ms
            if not expired and len(self._used) < self._max_used:
                break
            del self._used[oldest]
            if not expired:
                self._forgotten = max(self._forgotten, oldest)
        counts = self._used[serial] = _Counts(issued_ms)
        return counts


def _count(counts: _Counts, nc: int) -> bool:
    """Mark ``nc`` as seen; False if it was, or lies behind the window."""
    if nc < 1:
        return False
    if nc > counts.highest:
        shift = nc - counts.highest
        counts.seen = (counts.seen << shift | 1) & (1 << WINDOW) - 1 if shift < WINDOW else 1
        counts.highest = nc
        return True
    behind = counts.highest - nc
    if behind >= WINDOW or counts.seen >> behind & 1:
        return False
    counts.seen |= 1 << behind
    return True
