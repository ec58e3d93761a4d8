"""procrastinate at work. Importing this costs 0.3 s and 10 MB: `queue.Jobs.run` does it, off the event loop."""

from __future__ import annotations

import asyncio
import contextlib
from typing import TYPE_CHECKING

import psycopg
from procrastinate import App, BaseRetryStrategy, PsycopgConnector, RetryDecision
from procrastinate.exceptions import ConnectorException
from procrastinate.jobs import Job, Status
from psycopg.conninfo import make_conninfo
from psycopg_pool import PoolClosed, PoolTimeout

from sent.infra.jobs.queue import GiveUp
from sent.infra.telemetry import get_logger

if TYPE_CHECKING:
    from sent.infra.jobs.queue import Jobs, Task

log = get_logger(__name__)

DATABASE_ERRORS = (ConnectorException, psycopg.Error, PoolTimeout, PoolClosed, OSError)
GRACE_SECONDS = 10.0
_OPTIONS = (
    "-c role=sent_system -c search_path=jobs,pg_catalog,pg_temp -c timezone=UTC -c statement_timeout=30s"
    " -c lock_timeout=10s"
)
_POLL_SECONDS = 5.0
"""For jobs that become due or whose lock was freed; new ones are announced by NOTIFY."""
_MAX_RESCUES = 5
_KEEP_FAILED_HOURS = 30 * 24


async def work(jobs: Jobs, stop: asyncio.Event) -> None:
    """Connect and run jobs until ``stop``, or raise one of `DATABASE_ERRORS`."""
    app = _build(jobs)
    async with app.open_async():
        await _rescue(app)
        running = asyncio.create_task(
            app.run_worker_async(
                name="sent",
                concurrency=jobs.concurrency,
                fetch_job_polling_interval=_POLL_SECONDS,
                shutdown_graceful_timeout=GRACE_SECONDS,
                delete_jobs="successful",
                install_signal_handlers=False,
            ),
            name="job worker",
        )
        stopping = asyncio.create_task(stop.wait(), name="job worker's stop")
        try:
            await asyncio.wait((running, stopping), return_when=asyncio.FIRST_COMPLETED)
        finally:
            stopping.cancel()
            if not running.done():
                running.cancel()  # procrastinate takes this as: finish gracefully
            with contextlib.suppress(asyncio.CancelledError):
                await running


def _build(jobs: Jobs) -> App:
    connector = PsycopgConnector(
        conninfo=make_conninfo(jobs.server_dsn, options=_OPTIONS, connect_timeout=5, application_name="sent jobs"),
        min_size=1,
        max_size=2,
        timeout=5.0,
        max_idle=60.0,
        num_workers=1,
        name="sent jobs",
    )
    app = App(
        connector=connector,
        periodic_defaults={"max_delay": 3_600},
    )
    for task in jobs.tasks.values():
        _add(app, jobs, task)

    async def maintain(timestamp: int) -> None:
        await _rescue(app)
        await app.job_manager.delete_old_jobs(
            nb_hours=_KEEP_FAILED_HOURS, include_failed=True, include_cancelled=True, include_aborted=True
        )

    app.periodic(cron="* * * * *")(app.task(name="jobs.maintain", queueing_lock="jobs.maintain")(maintain))
    return app


def _add(app: App, jobs: Jobs, task: Task) -> None:
    async def run(**args: object) -> None:
        if task.cron is not None:
            args.pop("timestamp")
        try:
            await task.run(**args)
        except Exception:
            jobs.metrics.jobs.of(outcome="failed").inc()
            raise
        jobs.metrics.jobs.of(outcome="ok").inc()

    if task.cron is None:
        app.task(name=task.name, retry=_BackOff(task.attempts))(run)
    else:
        # One at a time, and one waiting: a slow run is not followed by a pile of the same.
        app.periodic(cron=task.cron)(app.task(name=task.name, lock=task.name, queueing_lock=task.name)(run))


class _BackOff(BaseRetryStrategy):
    def __init__(self, attempts: int) -> None:
        self._attempts = attempts

    def get_retry_decision(self, *, exception: BaseException, job: Job) -> RetryDecision | None:
        runs = job.attempts + 1
        if isinstance(exception, GiveUp) or runs >= self._attempts:
            return None
        return RetryDecision(retry_in={"seconds": 3**runs})


async def _rescue(app: App) -> None:
    """Run again what a worker that died had begun; but not for ever what may have killed it."""
    for job in await app.job_manager.get_stalled_jobs():
        assert job.id is not None
        if job.attempts >= _MAX_RESCUES:
            log.error("jobs.given_up", task=job.task_name, job_id=job.id)
            await app.job_manager.finish_job_by_id_async(job_id=job.id, status=Status.FAILED, delete_job=False)
        else:
            log.warning("jobs.rescued", task=job.task_name, job_id=job.id)
            await app.job_manager.retry_job(job)
