"""The job that asks again for what was not moved, though its own job is long over: a file store that was away for a day
must not leave recordings in the spool for ever.
"""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from uuid import UUID

from sent.infra.db import Database, SystemReason
from sent.infra.jobs import Jobs
from sent.recordings import repository
from sent.recordings.recorder import defer_store

SWEEP_JOB, SWEEP_CRON = "recordings.sweep", "37 */6 * * *"
OLDER_THAN = timedelta(hours=4)
"""Longer than all attempts of one job take, so that there is one job at a time for a recording."""
_BATCH = 200


class SweepSpool:
    def __init__(self, database: Database, jobs: Jobs, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._database = database
        self._jobs = jobs
        self._now = now

    async def __call__(self) -> None:
        before, after = self._now() - OLDER_THAN, UUID(int=0)
        while True:
            async with self._database.system(SystemReason.MOVE_RECORDINGS) as conn:
                rows = await repository.spooled(conn, before, after, _BATCH)
                for row in rows:
                    await defer_store(self._jobs, conn, row.id, row.organization_id)
            if len(rows) < _BATCH:
                return
            after = rows[-1].id
