"""Which node keeps which records, and what becomes of the records of a node that died.

A node is a data directory: its id lies there. It renews its lease every 10 s for 30 s. At its start it closes what
it left open itself; what a node with a lapsed lease left open, any other node closes. A node that merely lost the
database for a while finds its lease lapsed when it is back, and writes its live calls again, with a higher version.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from uuid import UUID

import psycopg
import structlog
from psycopg.rows import class_row, scalar_row

from sent.calls.repository import (
    CLOSE_LAPSED_SQL,
    CLOSE_LEGS_SQL,
    CLOSE_OWN_SQL,
    FORGET_LEASES_SQL,
    GIVE_UP_LEASE_SQL,
    LAST_LIFE_SQL,
    RENEW_LEASE_SQL,
)
from sent.infra.db import Connection, Database, SystemReason
from sent.kit.errors import BadInput, Unavailable
from sent.kit.ids import uuid7

log = structlog.get_logger("sent.calls")

LEASE_SECONDS = 30.0
RENEW_SECONDS = 10.0

OWN_WORDS = "The server stopped without warning while the call was up; its record was closed at the next start."
LAPSED_WORDS = "The server that carried the call is gone; its record was closed when its lease ran out."


@dataclass(frozen=True, slots=True)
class _Renewed:
    had_lapsed: bool


def node_id(data_dir: Path) -> UUID:
    """The id of this node, made at its first start. Raises `BadInput` (``calls.bad_node_id``) for a damaged file."""
    file = data_dir / "node-id"
    try:
        return UUID(file.read_text("ascii").strip())
    except FileNotFoundError:
        made = uuid7()
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        descriptor = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as stream:
            stream.write(f"{made}\n")
            stream.flush()
            os.fsync(stream.fileno())
        return made
    except (ValueError, UnicodeDecodeError) as error:
        raise BadInput(
            "calls.bad_node_id", f"{file} does not hold a node id; delete it, and a new one is made"
        ) from error


class NodeLease:
    """``lapsed`` is called when this node's own lease had run out while it was alive.

    ``process_start`` is when this process began: open records of this node from before it are a dead process's.
    """

    def __init__(
        self, database: Database, node: UUID, host: str, process_start: datetime, lapsed: Callable[[], None]
    ) -> None:
        self._database = database
        self._node = node
        self._host = host
        self._process_start = process_start
        self._lapsed = lapsed
        self._last_life: datetime | None = None
        """When the process before this one last showed a sign of life."""
        self._taken = False

    async def take(self) -> int:
        """Take the lease and close what was left open. Returns how many records that were. Raises `Unavailable`.

        Call it before the first call: every open record of this node is then a dead process's, whatever the clocks say
        (one that was set back makes old calls look younger than this process).
        """
        return await self._take(None)

    async def _take(self, process_start: datetime | None) -> int:
        async with self._database.system(SystemReason.RECOVER_CALLS) as connection:
            if not self._taken:
                async with connection.cursor(row_factory=scalar_row) as cursor:
                    await cursor.execute(LAST_LIFE_SQL, {"id": self._node})
                    self._last_life = await cursor.fetchone()
            closed = await self._close(connection, self._process_start if self._taken else process_start)
            await self._renew(connection)
            self._taken = True
            return closed

    async def run(self) -> None:
        """Renew until cancelled. A database that is gone is waited for; calls go on meanwhile."""
        while True:
            try:
                if not self._taken:
                    await self._take(self._process_start)  # calls may be up already
                else:
                    async with self._database.system(SystemReason.RECOVER_CALLS) as connection:
                        had_lapsed = await self._renew(connection)
                        await self._close(connection, self._process_start)
                        await connection.execute(FORGET_LEASES_SQL)
                    if had_lapsed:
                        log.warning("calls.lease_lapsed", node=str(self._node))
                        self._lapsed()
            except (Unavailable, psycopg.Error) as error:
                log.warning("calls.lease_not_renewed", why=str(error))
            await asyncio.sleep(RENEW_SECONDS)

    async def give_up(self) -> None:
        """At an orderly end, after the last record: others need not wait. Raises `Unavailable`."""
        async with self._database.system(SystemReason.RECOVER_CALLS) as connection:
            await connection.execute(GIVE_UP_LEASE_SQL, {"id": self._node})

    async def _renew(self, connection: Connection) -> bool:
        async with connection.cursor(row_factory=class_row(_Renewed)) as cursor:
            await cursor.execute(RENEW_LEASE_SQL, {"id": self._node, "host": self._host, "seconds": LEASE_SECONDS})
            row = await cursor.fetchone()
        return row is not None and row.had_lapsed

    async def _close(self, connection: Connection, process_start: datetime | None) -> int:
        values = {"node_id": self._node, "process_start": process_start, "last_life": self._last_life}
        closed = 0
        for statement, words in ((CLOSE_OWN_SQL, OWN_WORDS), (CLOSE_LAPSED_SQL, LAPSED_WORDS)):
            async with connection.cursor(row_factory=scalar_row) as cursor:
                await cursor.execute(statement, values | {"words": words})
                calls: list[UUID] = await cursor.fetchall()
            if calls:
                await connection.execute(CLOSE_LEGS_SQL, {"calls": calls, "words": words})
                closed += len(calls)
        if closed:
            log.warning("calls.closed_as_interrupted", calls=closed)
        return closed
