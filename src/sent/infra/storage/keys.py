"""What a key may look like. Pure.

``recordings/0190…/0191….spool``: segments of letters, digits and ``._-`` that begin with a letter or a digit, so that
no key means another folder, a hidden file or a temporary file of the store, on any of the backends.
"""

from __future__ import annotations

import re

from sent.kit.errors import BadInput

_KEY = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]*(?:/[A-Za-z0-9][A-Za-z0-9._-]*)*", re.ASCII)
_MAX_OCTETS = 512


def check_key(key: str) -> str:
    """``key`` itself, or `BadInput` (``storage.bad_key``)."""
    if len(key) > _MAX_OCTETS or not _KEY.fullmatch(key):
        raise BadInput(
            "storage.bad_key",
            f"A file key is letters, digits and ._- in segments divided by /, at most {_MAX_OCTETS} long, "
            "and no segment begins with a dot.",
        )
    return key


def check_prefix(prefix: str) -> str:
    """A folder of keys; the empty one is all of them."""
    return check_key(prefix.removesuffix("/")) if prefix else ""
