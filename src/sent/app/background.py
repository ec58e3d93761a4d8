"""The list of background jobs."""

from __future__ import annotations

from datetime import UTC, datetime

from sent.app.settings import Settings
from sent.calls.retention import delete_old_records
from sent.identity.service import Identity
from sent.infra.audit.key import load_audit_key
from sent.infra.audit.seal import seal
from sent.infra.db import Database
from sent.infra.jobs import Jobs
from sent.infra.storage import Store
from sent.infra.telemetry import Metrics
from sent.infra.vault import Vault
from sent.media.engine import open_spool
from sent.recordings.jobs import register
from sent.recordings.retention import ExpireRecordings
from sent.recordings.spool import Spool
from sent.recordings.storing import StoreRecording
from sent.recordings.sweeping import SweepSpool

CALL_RECORD_DAYS = 730
"""Two years: what accounting and most authorities ask for."""
_SEAL_CRON = "*/5 * * * *"
_RETENTION_CRON = "17 3 * * *"


def recording_store(settings: Settings) -> Store:
    return Store(settings.store_url or settings.data_dir / "store")


def register_jobs(
    jobs: Jobs, settings: Settings, database: Database, vault: Vault, spool: Spool, metrics: Metrics
) -> None:
    """Name every job before the worker runs."""
    store = recording_store(settings)
    register(
        jobs,
        StoreRecording(spool, store, database, vault, open_spool, metrics),
        ExpireRecordings(database, store),
        SweepSpool(database, jobs),
    )

    async def seal_audit() -> None:
        await seal(database, load_audit_key(settings.data_dir / "audit.key"))

    async def expire_calls() -> None:
        for organization in await Identity(database, vault).list_organizations():
            await delete_old_records(database, organization.id, CALL_RECORD_DAYS, datetime.now(UTC))

    jobs.register_periodic("audit.seal", _SEAL_CRON, seal_audit)
    jobs.register_periodic("calls.expire", _RETENTION_CRON, expire_calls)
