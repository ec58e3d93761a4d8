"""The audit log: entries for what no trigger sees, sealing in blocks, and the proof that nothing was changed."""

from sent.infra.audit.record import record

__all__ = ["record"]
