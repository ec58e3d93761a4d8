"""From exec to the first HTTP answer and the first SIP answer, with a migrated database that is up."""

from __future__ import annotations

import itertools
import statistics
import tempfile
import time
from pathlib import Path

from bench.process import wait_until
from bench.report import Figure
from bench.server import answers_http, answers_sip, database, server
from sent.infra.db.embedded import EmbeddedPostgres

RUNS = 7


def run() -> Figure:
    seconds = []
    with database() as owner_dsn:
        with server(owner_dsn):
            pass
        for _ in range(RUNS):
            with server(owner_dsn, wait=False) as one:
                tries = itertools.count()
                waits = [answers_http, lambda tries=tries: answers_sip(next(tries))]
                while waits:
                    waits = [wait for wait in waits if not wait()]
                    if time.monotonic() - one.started > 30:
                        raise TimeoutError("SENT did not answer within 30 s")
                seconds.append(time.monotonic() - one.started)
    return Figure(
        "boot",
        round(statistics.median(seconds), 3),
        "s",
        "< 1 s",
        details={
            "runs": f"{RUNS}, {min(seconds):.3f} to {max(seconds):.3f} s",
            "embedded database, first start with initdb": f"{_initdb_seconds():.2f} s",
        },
    )


def _initdb_seconds() -> float:
    with tempfile.TemporaryDirectory(prefix="sent-bench-initdb-") as folder:
        Path(folder).chmod(0o755)
        postgres = EmbeddedPostgres(Path(folder) / "db")
        begun = time.monotonic()
        postgres.start()
        took = time.monotonic() - begun
        postgres.stop()
        wait_until(lambda: postgres.pid is None, "PostgreSQL to stop")
        return took
