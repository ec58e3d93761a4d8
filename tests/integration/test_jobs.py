"""Jobs over a real database: in the caller's transaction, retried, stopped gracefully."""

import asyncio
import contextlib
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import psycopg
import pytest

from sent.infra.db import Actor, SystemReason
from sent.infra.jobs import GiveUp, Jobs, worker
from sent.infra.telemetry import Metrics

pytestmark = pytest.mark.database
WHO = Actor("cli", "test")


@pytest.fixture
def jobs(database, owner_dsn):
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("TRUNCATE jobs.procrastinate_jobs, jobs.procrastinate_periodic_defers CASCADE")
    return Jobs(database.server_dsn, Metrics())


@contextlib.asynccontextmanager
async def working(jobs):
    stop = asyncio.Event()
    task = asyncio.create_task(jobs.run(stop))
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait_for(task, 15)


def rows(owner_dsn):
    with psycopg.connect(owner_dsn) as conn:
        return conn.execute(
            "SELECT task_name, status::text, attempts, scheduled_at FROM jobs.procrastinate_jobs"
            " WHERE task_name NOT LIKE 'jobs.%' ORDER BY id"
        ).fetchall()


async def until(condition, seconds=8.0):
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110  # what is waited for happens in the database
            await asyncio.sleep(0.02)


async def defer(database, jobs, task, args, **more):
    async with database.transaction(uuid4(), WHO) as conn:
        await jobs.defer(conn, task, args, **more)


async def test_a_job_runs_when_its_transaction_committed_and_not_when_it_did_not(database, jobs, owner_dsn):
    seen = []

    async def note(word, n):
        seen.append((word, n))

    jobs.register("test.note", note)
    async with working(jobs):
        with contextlib.suppress(LookupError):
            async with database.transaction(uuid4(), WHO) as conn:
                await jobs.defer(conn, "test.note", {"word": "rolled back", "n": 1})
                raise LookupError
        await defer(database, jobs, "test.note", {"word": "committed", "n": 2})
        async with database.system(SystemReason.JOBS) as conn:
            await jobs.defer(conn, "test.note", {"word": "by the system", "n": 3})
        await until(lambda: len(seen) == 2)
        await until(lambda: rows(owner_dsn) == [])
    assert sorted(seen) == [("by the system", 3), ("committed", 2)]
    assert b'sent_jobs_total{outcome="ok"} 2.0' in jobs.metrics.exposition()


async def test_a_failed_job_runs_again_later(database, jobs, owner_dsn):
    async def fail():
        raise RuntimeError("not yet")

    jobs.register("test.fail", fail)
    await defer(database, jobs, "test.fail", {})
    async with working(jobs):
        await until(lambda: rows(owner_dsn)[0][2] == 1)
        ((_, status, _, again_at),) = rows(owner_dsn)
    assert status == "todo"
    assert timedelta(seconds=1) < again_at - datetime.now(UTC) < timedelta(seconds=4)


async def test_what_gave_up_is_kept_as_failed(database, jobs, owner_dsn):
    async def give_up():
        raise GiveUp("The file is gone.")

    jobs.register("test.give_up", give_up)
    await defer(database, jobs, "test.give_up", {})
    async with working(jobs):
        await until(lambda: rows(owner_dsn)[0][1] == "failed")


async def test_one_lock_one_job_at_a_time(database, jobs, monkeypatch):
    monkeypatch.setattr(worker, "_POLL_SECONDS", 0.1)
    running, most, done = 0, 0, 0

    async def slow():
        nonlocal running, most, done
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.05)
        running -= 1
        done += 1

    jobs.register("test.slow", slow)
    for _ in range(3):
        await defer(database, jobs, "test.slow", {}, lock="the same")
    async with working(jobs):
        await until(lambda: done == 3)
    assert most == 1


async def test_a_later_job_waits_for_its_time(database, jobs, owner_dsn):
    seen = []

    async def note(n):
        seen.append(n)

    jobs.register("test.note", note)
    await defer(database, jobs, "test.note", {"n": 1}, run_at=datetime.now(UTC) + timedelta(hours=1))
    await defer(database, jobs, "test.note", {"n": 2})
    async with working(jobs):
        await until(lambda: seen == [2])
    assert [row[1] for row in rows(owner_dsn)] == ["todo"]


async def test_a_stop_lets_a_running_job_finish(database, jobs):
    begun, finished = asyncio.Event(), False

    async def slow():
        nonlocal finished
        begun.set()
        await asyncio.sleep(0.3)
        finished = True

    jobs.register("test.slow", slow)
    await defer(database, jobs, "test.slow", {})
    async with working(jobs):
        await asyncio.wait_for(begun.wait(), 8)
    assert finished


async def test_what_a_dead_worker_had_begun_runs_again(database, jobs, owner_dsn):
    seen = []

    async def note(n):
        seen.append(n)

    jobs.register("test.note", note)
    await defer(database, jobs, "test.note", {"n": 1})
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("SET LOCAL search_path = jobs, pg_catalog")
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing'")
    async with working(jobs):
        await until(lambda: seen == [1])


async def test_what_runs_by_the_clock_runs_without_arguments_and_once(database, owner_dsn, jobs):
    runs = []

    async def tick():
        runs.append(1)

    jobs.register_periodic("test.tick", "0 0 1 1 *", tick)  # not due within these hours, unless it is New Year
    jobs.register_periodic("test.tock", "* * * * *", tick)
    async with working(jobs):
        await until(lambda: runs)
    with psycopg.connect(owner_dsn) as conn:
        known = conn.execute("SELECT DISTINCT task_name FROM jobs.procrastinate_periodic_defers").fetchall()
    assert ("test.tock",) in known


async def test_a_job_for_another_organization_is_refused(database, jobs):
    async def nothing(organization_id):
        return None

    jobs.register("test.note", nothing)
    organization = uuid4()
    async with database.transaction(organization, WHO) as conn:
        await jobs.defer(conn, "test.note", {"organization_id": str(organization)})
    async with database.system(SystemReason.JOBS) as conn:
        await jobs.defer(conn, "test.note", {"organization_id": str(uuid4())})
    with pytest.raises(psycopg.errors.InsufficientPrivilege):
        async with database.transaction(organization, WHO) as conn:
            await jobs.defer(conn, "test.note", {"organization_id": str(uuid4())})


async def test_the_worker_goes_on_after_it_lost_its_connections(database, jobs, postgres_server, monkeypatch):
    monkeypatch.setattr(worker, "_POLL_SECONDS", 0.2)
    seen = []

    async def note(n):
        seen.append(n)

    jobs.register("test.note", note)
    async with working(jobs):
        await defer(database, jobs, "test.note", {"n": 1})
        await until(lambda: seen == [1])
        with psycopg.connect(postgres_server.superuser_dsn(), autocommit=True) as conn:
            conn.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'sent jobs'")
        await defer(database, jobs, "test.note", {"n": 2})
        await until(lambda: seen == [1, 2], 20)


async def test_a_door_of_an_organization_can_put_jobs_in_but_not_look_at_them(database, jobs):
    for statement in ("SELECT * FROM jobs.procrastinate_jobs", "DELETE FROM jobs.procrastinate_jobs"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            async with database.transaction(uuid4(), WHO) as conn:
                await conn.execute(statement)


async def test_a_job_that_kills_its_worker_each_time_is_given_up(database, jobs, owner_dsn):
    seen = []

    async def note():
        seen.append(1)

    jobs.register("test.poison", note)
    jobs.register("test.note", note)
    await defer(database, jobs, "test.poison", {})
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("SET LOCAL search_path = jobs, pg_catalog")
        conn.execute("UPDATE procrastinate_jobs SET status = 'doing', attempts = 5")
    await defer(database, jobs, "test.note", {})
    async with working(jobs):
        await until(lambda: seen)
        await until(lambda: [row[1] for row in rows(owner_dsn)] == ["failed"])
    assert seen == [1], "only the other job ran"
