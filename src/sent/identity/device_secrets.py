"""A device's SIP user name and secret, and what digest authentication makes of them."""

from __future__ import annotations

import hashlib
import secrets

from sent.identity.models import DigestAlgorithm

_BASE32 = "abcdefghijklmnopqrstuvwxyz234567"
# Without l, I, 1, O and 0: people type it into phones.
_READABLE = "abcdefghijkmnopqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_SIP_USERNAME_CHARACTERS = 12
_SECRET_CHARACTERS = 20


def new_sip_username() -> str:
    """60 random bits in lower-case base32."""
    return "".join(secrets.choice(_BASE32) for _ in range(_SIP_USERNAME_CHARACTERS))


def is_sip_username(text: str) -> bool:
    """Whether it has the shape of one; what has not needs no look-up."""
    return len(text) == _SIP_USERNAME_CHARACTERS and all(c in _BASE32 for c in text)


def new_secret() -> str:
    """116 random bits."""
    return "".join(secrets.choice(_READABLE) for _ in range(_SECRET_CHARACTERS))


def ha1(algorithm: DigestAlgorithm, sip_username: str, realm: str, secret: str) -> str:
    """RFC 7616 §3.4.2: H(unq(username) ":" unq(realm) ":" passwd), lower-case hex."""
    text = f"{sip_username}:{realm}:{secret}".encode()
    match algorithm:
        case DigestAlgorithm.MD5:
            return hashlib.md5(text, usedforsecurity=False).hexdigest()
        case DigestAlgorithm.SHA_256:
            return hashlib.sha256(text).hexdigest()
