"""The master key: where it comes from, and what is derived from it.

It comes from the environment (``SENT_MASTER_KEY``) or else from a file, which the first start creates. Both hold
one or more keys in base64, one per line (or separated by commas): the first is the current one, the others
only open what an earlier one wrapped. So a rotation has no moment at which a crash loses anything:
`add_master_key` puts a new key in front, `Vault.rotate_master` wraps all again in one transaction, and when the
recordings that ran meanwhile are in the file store, the administrator removes the old lines.

Nothing is encrypted with the master key itself: each purpose has its own key, derived by HKDF (RFC 5869).
"""

from __future__ import annotations

import base64
import binascii
import contextlib
import os
import secrets
import stat
from collections.abc import Mapping
from pathlib import Path
from uuid import UUID

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from sent.infra.vault.errors import VaultError
from sent.infra.vault.sealing import KEY_OCTETS, Key, key_id_of, open_sealed, seal

ENVIRONMENT = "SENT_MASTER_KEY"
_HEADER = "# The master key of this SENT server. Whoever has it can open every secret: keep it, and a copy elsewhere.\n"


class MasterKeys:
    """The current master key and its predecessors (32 octets each). ``source`` says where they came from."""

    def __init__(self, keys: tuple[bytes, ...], source: str) -> None:
        self._keys = keys
        self.source = source

    def __repr__(self) -> str:
        return f"MasterKeys({len(self._keys)} from {self.source})"

    def current_id(self, purpose: str) -> UUID:
        return self._derive(self._keys[0], purpose).id

    def ids(self, purpose: str) -> frozenset[UUID]:
        """Of all of them, for ``purpose``."""
        return frozenset(self._derive(master, purpose).id for master in self._keys)

    def seal(self, purpose: str, associated: bytes, plaintext: bytes) -> bytes:
        """Seal under the current key for ``purpose`` (a constant of the code, such as ``organization-key``)."""
        return seal(self._derive(self._keys[0], purpose), associated, plaintext)

    def open(self, purpose: str, associated: bytes, sealed: bytes) -> bytes:
        """Open under whichever key sealed it. Raises ``vault.master_key_missing`` when that key is not here."""
        wanted = key_id_of(sealed)
        for master in self._keys:
            key = self._derive(master, purpose)
            if key.id == wanted:
                return open_sealed(key, associated, sealed)
        raise VaultError(
            "vault.master_key_missing",
            f"This was sealed under another master key than the one in {self.source}. "
            "Put the master key that belongs to this database back (older ones go below the current one).",
        )

    @staticmethod
    def _derive(master: bytes, purpose: str) -> Key:
        material = HKDF(SHA256(), KEY_OCTETS + 16, salt=None, info=b"sent vault 1 " + purpose.encode()).derive(master)
        return Key(UUID(bytes=material[KEY_OCTETS:]), material[:KEY_OCTETS])


def load_master_key(path: Path, environment: Mapping[str, str] = os.environ) -> MasterKeys:
    """The master keys out of the environment or ``path``; the file is created when it is not there.

    Raises `VaultError` when the file can be read by others, or holds no key. Never guesses: a damaged file is
    not replaced, since that would make every stored secret unreadable.
    """
    if value := environment.get(ENVIRONMENT, "").strip():
        return MasterKeys(_decode(value.replace(",", "\n"), f"the environment ({ENVIRONMENT})"), ENVIRONMENT)
    try:
        return MasterKeys(_read(path), str(path))
    except FileNotFoundError:
        with contextlib.suppress(FileExistsError):  # another process was first: its key is the one
            _write_new(path, (secrets.token_bytes(KEY_OCTETS),))
    return MasterKeys(_read(path), str(path))


def add_master_key(path: Path) -> MasterKeys:
    """Put a new current key in front of those in ``path``, atomically and durably, and return them all."""
    keys = (secrets.token_bytes(KEY_OCTETS), *_read(path))
    beside = path.with_name(path.name + ".new")
    beside.unlink(missing_ok=True)
    _write_new(beside, keys)
    beside.replace(path)
    _sync_directory(path.parent)
    return MasterKeys(keys, str(path))


def _read(path: Path) -> tuple[bytes, ...]:
    descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    with os.fdopen(descriptor, "r", encoding="ascii", errors="replace") as file:
        mode = stat.S_IMODE(os.fstat(file.fileno()).st_mode)
        if mode & 0o077:
            raise VaultError(
                "vault.master_key_unsafe",
                f"The master key file {path} can be read by others (mode {mode:04o}). Run: chmod 600 {path}",
            )
        return _decode(file.read(), str(path))


def _decode(text: str, source: str) -> tuple[bytes, ...]:
    lines = [line for raw in text.splitlines() if (line := raw.strip()) and not line.startswith("#")]
    keys = []
    for line in lines:
        try:
            key = base64.b64decode(line, validate=True)
        except binascii.Error:
            key = b""
        if len(key) != KEY_OCTETS:
            raise VaultError(
                "vault.master_key_bad",
                f"A master key in {source} is not {KEY_OCTETS} octets in base64. Put it back from your backup; "
                "a new one cannot open what the old one sealed.",
            )
        keys.append(key)
    if not keys:
        raise VaultError("vault.master_key_bad", f"There is no key in {source}. Put it back from your backup.")
    return tuple(keys)


def _write_new(path: Path, keys: tuple[bytes, ...]) -> None:
    """Write a new file of mode 0600, on disk when this returns. Raises FileExistsError.

    It appears under its name only when whole, so that neither a crash nor a second process meets half a key.
    """
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    text = _HEADER + "".join(base64.b64encode(key).decode() + "\n" for key in keys)
    draft = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(text)
            file.flush()
            os.fsync(file.fileno())
        os.link(draft, path)
    finally:
        draft.unlink()
    _sync_directory(path.parent)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
