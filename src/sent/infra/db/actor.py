"""Who acts, as the audit names it, and why a transaction may look across organizations."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

ActorKind = Literal["user", "device", "system", "cli", "api_key"]


@dataclass(frozen=True, slots=True)
class Actor:
    """``str(actor)`` is what stands in the audit log: ``user:0190…``, ``cli:root``."""

    kind: ActorKind
    id: str

    def __str__(self) -> str:
        return f"{self.kind}:{self.id}"


class SystemReason(StrEnum):
    """The complete list; the type ``sent.system_reason`` in SQL says the same, and a test compares them.

    A new reason needs a migration with ``ALTER TYPE sent.system_reason ADD VALUE``.
    """

    MIGRATE = "migrate"
    RECOVER_CALLS = "recover_calls"
    """Close the open records of a node that is gone."""
    RETENTION = "retention"
    """Delete what is older than its organization keeps it."""
    SEAL_AUDIT = "seal_audit"
    JOBS = "jobs"
    """Fetch and finish jobs; a job's own work runs in its organization's transaction."""
    PROVISION = "provision"
    """Create an organization, list organizations."""
    DIAGNOSE = "diagnose"
    """`sent doctor` and health checks."""
    RESTORE_BINDINGS = "restore_bindings"
    """Load where phones are registered, after a restart."""
    LOAD_TRUNKS = "load_trunks"
    """Register all trunks at start."""
    ROTATE_KEYS = "rotate_keys"
    MOVE_RECORDINGS = "move_recordings"
    """From the local spool to the file store."""
