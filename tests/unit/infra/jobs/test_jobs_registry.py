from datetime import datetime

import pytest

from sent.infra.jobs import Jobs
from sent.infra.telemetry import Metrics


async def nothing():
    return None


@pytest.fixture
def jobs():
    return Jobs("", Metrics())


@pytest.mark.parametrize("name", ["", "store", "Recordings.store", "recordings.store.now", "recordings store"])
def test_a_name_is_module_and_verb(jobs, name):
    with pytest.raises(ValueError, match=r"module\.verb"):
        jobs.register(name, nothing)


def test_a_name_means_one_thing(jobs):
    jobs.register("recordings.store", nothing)
    with pytest.raises(ValueError, match="once"):
        jobs.register_periodic("recordings.store", "* * * * *", nothing)


async def test_what_nobody_does_cannot_be_asked_for(jobs):
    jobs.register_periodic("recordings.expire", "* * * * *", nothing)
    for name in ("recordings.store", "recordings.expire"):
        with pytest.raises(LookupError):
            await jobs.defer(None, name, {})


async def test_a_time_without_a_zone_is_refused(jobs):
    jobs.register("recordings.store", nothing)
    with pytest.raises(ValueError, match="time zone"):
        await jobs.defer(None, "recordings.store", {}, run_at=datetime(2030, 1, 1))  # noqa: DTZ001


def test_the_queue_is_imported_without_procrastinate():
    import subprocess
    import sys

    code = "import sys, sent.infra.jobs; sys.exit('procrastinate' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], env={"PYTHONPATH": "src"}, check=False).returncode == 0
