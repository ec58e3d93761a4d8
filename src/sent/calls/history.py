"""Looking at calls, live and past: lists with filters and a cursor, and one call with its legs and its SIP ladder."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

import msgspec
from psycopg.rows import class_row, scalar_row

from sent.calls.ending import EndCode
from sent.calls.history_repository import (
    FIND_CALL_SQL,
    GET_CALL_SQL,
    GET_LADDER_SQL,
    LIST_CALLS_SQL,
    LIST_LEGS_SQL,
    CallRow,
    LadderRow,
    LegRow,
)
from sent.calls.models import Disposition, Ladder, LadderMessage
from sent.calls.party import Direction
from sent.infra.db import Actor, Database
from sent.kit.errors import BadInput, NotFound

MAX_PAGE = 200
_PART = re.compile(r"[0-9a-f-]{4,36}")


@dataclass(frozen=True, slots=True)
class Filter:
    """What to list; None means all. ``number`` is exact: an extension or E.164, as caller, callee or dialled.

    ``before`` is the cursor: the id of the last call of the page before.
    """

    live: bool | None = None
    since: datetime | None = None
    until: datetime | None = None
    direction: Direction | None = None
    disposition: Disposition | None = None
    end_code: EndCode | None = None
    number: str | None = None
    user_id: UUID | None = None
    before: UUID | None = None


@dataclass(frozen=True, slots=True)
class Page:
    """Newest first. ``next`` is the cursor of the following page, None on the last."""

    calls: Sequence[CallRow]
    next: UUID | None


@dataclass(frozen=True, slots=True)
class CallDetail:
    call: CallRow
    legs: Sequence[LegRow]
    ladder: Ladder | None


class CallHistory:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def list(self, organization_id: UUID, actor: Actor, wanted: Filter | None = None, limit: int = 50) -> Page:
        """Raises `Unavailable`, and `BadInput` for a limit outside 1 to 200."""
        if not 1 <= limit <= MAX_PAGE:
            raise BadInput("calls.bad_limit", f"A page holds 1 to {MAX_PAGE} calls.")
        values = asdict(wanted or Filter()) | {"organization_id": organization_id, "limit": limit + 1}
        async with (
            self._database.transaction(organization_id, actor) as connection,
            connection.cursor(row_factory=class_row(CallRow)) as cursor,
        ):
            await cursor.execute(LIST_CALLS_SQL, values)
            rows = await cursor.fetchall()
        page = rows[:limit]
        return Page(page, page[-1].id if len(rows) > limit else None)

    async def get(self, organization_id: UUID, actor: Actor, call_id: UUID) -> CallDetail:
        """Raises `NotFound` (``calls.no_such_call``), also for another organization's call."""
        values = {"organization_id": organization_id, "id": call_id}
        async with self._database.transaction(organization_id, actor) as connection:
            async with connection.cursor(row_factory=class_row(CallRow)) as calls:
                await calls.execute(GET_CALL_SQL, values)
                call = await calls.fetchone()
            if call is None:
                raise NotFound("calls.no_such_call", f"There is no call {call_id}; `sent calls` lists them.")
            async with connection.cursor(row_factory=class_row(LegRow)) as legs:
                await legs.execute(LIST_LEGS_SQL, values)
                leg_rows = await legs.fetchall()
            async with connection.cursor(row_factory=class_row(LadderRow)) as ladders:
                await ladders.execute(GET_LADDER_SQL, values)
                ladder = await ladders.fetchone()
        messages = tuple(msgspec.convert(message, LadderMessage) for message in ladder.messages) if ladder else ()
        return CallDetail(call, leg_rows, Ladder(messages, ladder.omitted) if ladder else None)

    async def find(self, organization_id: UUID, actor: Actor, part_of_id: str) -> UUID:
        """The one call whose id starts or ends so (the end is what tells calls of one day apart).

        Raises `NotFound`, and `BadInput` when more than one does.
        """
        part = part_of_id.strip().lower()
        if not _PART.fullmatch(part):
            raise BadInput(
                "calls.bad_id", "A call's id is hexadecimal; give at least 4 characters of its start or end."
            )
        async with (
            self._database.transaction(organization_id, actor) as connection,
            connection.cursor(row_factory=scalar_row) as cursor,
        ):
            await cursor.execute(FIND_CALL_SQL, {"organization_id": organization_id, "part": part})
            found: Sequence[UUID] = await cursor.fetchall()
        if not found:
            raise NotFound("calls.no_such_call", f"No call's id starts or ends with {part}; `sent calls` lists them.")
        if len(found) > 1:
            raise BadInput(
                "calls.ambiguous_id", f"More than one call's id starts or ends with {part}; give more of it."
            )
        return found[0]
