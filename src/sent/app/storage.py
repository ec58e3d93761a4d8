"""What lies on the disk and behind it: database, keys, jobs, recordings."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from uuid import UUID

from sent.app.background import register_jobs
from sent.app.local import database_settings, open_vault
from sent.app.settings import Settings
from sent.calls.leases import node_id
from sent.calls.record_store import DatabaseStore
from sent.calls.records import RecordWriter
from sent.calls.spill import Spill
from sent.infra.db import Database
from sent.infra.jobs import Jobs
from sent.infra.telemetry import Metrics
from sent.infra.vault import Vault, load_master_key
from sent.recordings.recorder import Recorder
from sent.recordings.spool import Spool


@dataclass(frozen=True, slots=True)
class Storage:
    node: UUID
    database: Database
    vault: Vault
    jobs: Jobs
    recorder: Recorder
    records: RecordWriter


async def open_storage(settings: Settings, metrics: Metrics, ends: contextlib.AsyncExitStack) -> Storage:
    """Opens the database and finishes what a process before this one left behind. ``ends`` closes all of it."""
    database = await Database.open(database_settings(settings))
    ends.push_async_callback(database.close)
    master = load_master_key(settings.data_dir / "master.key")
    vault = await open_vault(database, master)
    jobs = Jobs(database.server_dsn, metrics)
    spool = Spool(settings.data_dir / "spool" / "recordings", master)
    ends.callback(spool.close)
    recorder = Recorder(spool, database, vault, jobs, metrics)
    await recorder.recover()
    register_jobs(jobs, settings, database, vault, spool, metrics)
    node = node_id(settings.data_dir)
    records = RecordWriter(DatabaseStore(database, node), Spill(settings.data_dir / "spool" / "calls"))
    return Storage(node, database, vault, jobs, recorder, records)
