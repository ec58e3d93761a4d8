"""The SQL of the queue; what the worker does is procrastinate's own."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any, LiteralString

from psycopg import AsyncConnection
from psycopg.types.json import Jsonb

DEFER_SQL: LiteralString = """
    SELECT jobs.defer(%(task)s, %(args)s, %(run_at)s, %(lock)s)
"""


async def defer(
    conn: AsyncConnection, task: str, args: Mapping[str, Any], run_at: datetime | None, lock: str | None
) -> None:
    await conn.execute(DEFER_SQL, {"task": task, "args": Jsonb(dict(args)), "run_at": run_at, "lock": lock})
