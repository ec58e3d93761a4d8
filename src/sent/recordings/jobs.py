"""The background jobs of recordings. Register them in every process that defers them or works."""

from __future__ import annotations

from sent.infra.jobs import Jobs
from sent.recordings.recorder import STORE_JOB
from sent.recordings.retention import EXPIRE_CRON, EXPIRE_JOB, ExpireRecordings
from sent.recordings.storing import StoreRecording
from sent.recordings.sweeping import SWEEP_CRON, SWEEP_JOB, SweepSpool


def register(jobs: Jobs, store: StoreRecording, expire: ExpireRecordings, sweep: SweepSpool) -> None:
    jobs.register(STORE_JOB, store)
    jobs.register_periodic(EXPIRE_JOB, EXPIRE_CRON, expire)
    jobs.register_periodic(SWEEP_JOB, SWEEP_CRON, sweep)
