"""The bytes that are hashed. ``sent.audit_digest`` in migration 0002 says the same in SQL; a test compares them."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable


def canonical(fields: Iterable[str | None]) -> bytes:
    """Each field as ``length:text;`` in UTF-8 octets, an absent one as ``-;``: no two lists give the same bytes."""
    parts = []
    for field in fields:
        if field is None:
            parts.append(b"-;")
        else:
            octets = field.encode()
            parts.append(b"%d:%s;" % (len(octets), octets))
    return b"".join(parts)


def digest(fields: Iterable[str | None]) -> bytes:
    return hashlib.sha256(canonical(fields)).digest()
