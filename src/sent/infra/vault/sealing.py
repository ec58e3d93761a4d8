"""The sealed value: layout, and AES-256-GCM over it. Pure.

    octets  0        1 … 16    17 … 28   29 …
            version  key id    nonce     ciphertext with its 16-octet tag

The version is 1. The nonce is random: a key seals far fewer than the 2^32 values that NIST SP 800-38D §8.3
permits with one. The associated data bind a value to its place: moved to another organization or to another
context, it does not open.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from uuid import UUID

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from sent.infra.vault.errors import VaultError

VERSION = 1
KEY_OCTETS = 32
_NONCE_OCTETS = 12
_HEADER_OCTETS = 1 + 16 + _NONCE_OCTETS
_TAG_OCTETS = 16


@dataclass(frozen=True, slots=True, repr=False)
class Key:
    """A 32-octet AES key and its id. Its repr hides it."""

    id: UUID
    octets: bytes

    def __repr__(self) -> str:
        return f"Key(id={self.id})"


def new_key(key_id: UUID) -> Key:
    return Key(key_id, secrets.token_bytes(KEY_OCTETS))


def seal(key: Key, associated: bytes, plaintext: bytes) -> bytes:
    """``plaintext`` in the layout above."""
    nonce = secrets.token_bytes(_NONCE_OCTETS)
    return bytes((VERSION,)) + key.id.bytes + nonce + AESGCM(key.octets).encrypt(nonce, plaintext, associated)


def key_id_of(sealed: bytes) -> UUID:
    """Which key opens this value. Raises ``vault.cannot_open`` for what is no sealed value."""
    if len(sealed) < _HEADER_OCTETS + _TAG_OCTETS or sealed[0] != VERSION:
        raise VaultError(
            "vault.cannot_open",
            "This is not a sealed value of a known version. It was damaged, or written by a newer SENT: "
            "restore it from a backup, or upgrade.",
        )
    return UUID(bytes=bytes(sealed[1:17]))


def open_sealed(key: Key, associated: bytes, sealed: bytes) -> bytes:
    """The plaintext. Raises ``vault.cannot_open`` when key, place or content do not fit."""
    key_id_of(sealed)
    nonce, ciphertext = sealed[17:_HEADER_OCTETS], sealed[_HEADER_OCTETS:]
    try:
        return AESGCM(key.octets).decrypt(nonce, ciphertext, associated)
    except InvalidTag:
        raise VaultError(
            "vault.cannot_open",
            "A stored secret does not open: it was altered, or it was moved from where it was sealed. "
            "Restore it from a backup, or set it anew.",
            key_id=str(key.id),
        ) from None
