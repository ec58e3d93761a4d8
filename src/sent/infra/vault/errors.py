"""What can go wrong with a secret."""

from __future__ import annotations

from sent.kit.errors import SentError


class VaultError(SentError):
    """``vault.cannot_open``, ``vault.master_key_missing``, ``vault.master_key_unsafe``, ``vault.master_key_bad``,
    ``vault.bad_context``. Never says what the secret is, nor any part of it.
    """
