"""The job that destroys recordings whose time is over.

The key goes first: from then on nobody can play it, whatever happens to the file. A file that could not be deleted
is tried again the next time. The row stays and says that there was a recording.
"""

from __future__ import annotations

from uuid import UUID

from sent.infra.db import Actor, Database, SystemReason
from sent.infra.storage import Store
from sent.infra.telemetry import get_logger
from sent.kit.errors import SentError
from sent.recordings import repository

log = get_logger(__name__)

EXPIRE_JOB, EXPIRE_CRON = "recordings.expire", "17 * * * *"
_ACTOR = Actor("system", "retention")
_BATCH = 200


class ExpireRecordings:
    def __init__(self, database: Database, store: Store) -> None:
        self._database = database
        self._store = store

    async def __call__(self) -> None:
        after = UUID(int=0)
        while True:
            async with self._database.system(SystemReason.RETENTION) as conn:
                rows = await repository.due(conn, after, _BATCH)
            for row in rows:
                await self._destroy(row)
            if len(rows) < _BATCH:
                return
            after = rows[-1].id

    async def _destroy(self, row: repository.FileRow) -> None:
        try:
            async with self._database.transaction(row.organization_id, _ACTOR) as conn:
                await repository.expire(conn, row.id)
            if row.store_key is not None:
                await self._store.delete(row.store_key)
                async with self._database.transaction(row.organization_id, _ACTOR) as conn:
                    await repository.file_deleted(conn, row.id)
        except SentError as error:
            log.warning("recordings.not_expired", recording_id=str(row.id), code=error.code, error=error.message)
