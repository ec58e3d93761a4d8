"""Secrets at rest: AES-256-GCM with a key per organization, each wrapped by the master key.

master key (file 0600 or SENT_MASTER_KEY)
  └─ wraps ─ organization key (table organization_keys, several per organization after a rotation)
               └─ seals ─ a value (a device's secret, a recording's data key, a personal field)
"""

from sent.infra.vault.errors import VaultError
from sent.infra.vault.master import MasterKeys, add_master_key, load_master_key
from sent.infra.vault.vault import Vault

__all__ = ["MasterKeys", "Vault", "VaultError", "add_master_key", "load_master_key"]
