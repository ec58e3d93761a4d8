"""The Ed25519 key that seals the audit log: a file beside the master key, made at the first start."""

from __future__ import annotations

import contextlib
import hashlib
import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
    load_pem_public_key,
)

from sent.kit.errors import SentError


class AuditKeyError(SentError):
    """``audit.key_unsafe``, ``audit.key_bad``."""


def load_audit_key(path: Path) -> Ed25519PrivateKey:
    """The key in ``path`` (PEM, PKCS #8), made when there is none, mode 0600. Its public half lies beside (``.pub``).

    Raises `AuditKeyError` when others may read the file, or it holds no such key.
    """
    with contextlib.suppress(FileExistsError):
        _write_new(path)
    descriptor = os.open(path, os.O_RDONLY)
    with os.fdopen(descriptor, "rb") as file:
        mode = stat.S_IMODE(os.fstat(descriptor).st_mode)
        if mode & 0o077:
            raise AuditKeyError(
                "audit.key_unsafe",
                f"the audit key {path} can be read by others (mode {mode:04o}); run: chmod 600 {path}",
            )
        try:
            key = load_pem_private_key(file.read(), password=None)
        except (ValueError, TypeError) as error:
            raise _bad(path) from error
    if not isinstance(key, Ed25519PrivateKey):
        raise _bad(path)
    public_path = path.with_name(path.name + ".pub")
    if not public_path.exists():
        public_path.write_bytes(key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo))
    return key


def load_public_key(path: Path) -> Ed25519PublicKey:
    """For verifying elsewhere, without the private half. Raises `AuditKeyError`."""
    try:
        key = load_pem_public_key(path.read_bytes())
    except ValueError as error:
        raise _bad(path) from error
    if not isinstance(key, Ed25519PublicKey):
        raise _bad(path)
    return key


def key_id(public_key: Ed25519PublicKey) -> str:
    raw = public_key.public_bytes(Encoding.Raw, PublicFormat.Raw)
    return hashlib.sha256(raw).hexdigest()[:16]


def _write_new(path: Path) -> None:
    """Whole or not at all: written beside, then linked, which fails when another process was first."""
    if path.exists():
        raise FileExistsError
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    pem = Ed25519PrivateKey.generate().private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(pem)
            file.flush()
            os.fsync(descriptor)
        path.hardlink_to(part)
    finally:
        part.unlink()


def _bad(path: Path) -> AuditKeyError:
    return AuditKeyError("audit.key_bad", f"{path} holds no Ed25519 key in PEM; put it back from your backup")
