"""Identifiers: UUIDv7 (RFC 9562 §5.7), made here and nowhere else, so that rows sort by birth."""

from __future__ import annotations

import secrets
import time
from uuid import UUID


def uuid7(unix_ms: int | None = None) -> UUID:
    """A UUIDv7 for ``unix_ms`` milliseconds since the epoch (now by default)."""
    if unix_ms is None:
        unix_ms = time.time_ns() // 1_000_000
    value = (unix_ms & (1 << 48) - 1) << 80
    value |= 0x7 << 76 | secrets.randbits(12) << 64
    value |= 0b10 << 62 | secrets.randbits(62)
    return UUID(int=value)
