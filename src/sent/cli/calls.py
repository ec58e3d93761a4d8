"""`sent calls [list|show|hangup]`: calls, live and past, why each ended; and the end of one that is up."""

from __future__ import annotations

import argparse
import asyncio
import json
from dataclasses import asdict
from datetime import UTC, datetime
from uuid import UUID

from sent.app.local import Local
from sent.calls.commands import DatabaseCommands
from sent.calls.history import CallHistory, Filter
from sent.calls.history_repository import CallRow
from sent.calls.show import duration, party, show
from sent.cli.terminal import add_organization, speaks_unicode, table, width, with_local
from sent.kit.errors import BadInput, Unavailable

_HANG_UP_SECONDS = 10.0
_LOOK_SECONDS = 0.1


def add_arguments(parser: argparse.ArgumentParser) -> None:
    add_organization(parser)
    parser.add_argument(
        "action", nargs="?", choices=["list", "show", "hangup"], default="list", help="what to do (default: list)"
    )
    parser.add_argument(
        "id",
        nargs="?",
        help="for show and hangup: the call's id, or a part of its start or end (show: default the last)",
    )
    parser.add_argument("--live", action="store_true", help="only the calls that are up")
    parser.add_argument("--number", help="only calls from or to this number")
    parser.add_argument("--limit", type=int, default=30, help="how many (default 30, at most 200)")
    parser.add_argument("--before", type=UUID, metavar="ID", help="go on after this call, the last of the page before")
    parser.add_argument("--json", action="store_true", help="for programs")


def run(arguments: argparse.Namespace) -> int:
    if arguments.action == "hangup" and arguments.id is None:
        raise BadInput(
            "calls.no_id", "Say which call: sent calls hangup ID. `sent calls --live` lists those that are up."
        )
    actions = {"list": _list, "show": _show, "hangup": _hang_up}
    return with_local(lambda local: actions[arguments.action](local, arguments))


async def _list(local: Local, arguments: argparse.Namespace) -> int:
    organization = await local.organization(arguments.organization)
    wanted = Filter(live=True if arguments.live else None, number=arguments.number, before=arguments.before)
    page = await CallHistory(local.database).list(organization.id, local.actor, wanted, arguments.limit)
    if arguments.json:
        print(json.dumps([asdict(call) for call in page.calls], default=str))
        return 0
    head = ("ID", "STARTED (UTC)", "", "FROM", "TO", "TALK", "CODEC", "MOS", "WHY IT ENDED")
    rows = [_row(call, datetime.now(UTC)) for call in page.calls]
    none = "There are no calls yet. Try: sent dial 600" if wanted == Filter() else "There are no such calls."
    print(table(head, rows, none))
    if page.next is not None:
        print(f"\nThere are more; the same command goes on with --before {page.next}")
    return 0


async def _show(local: Local, arguments: argparse.Namespace) -> int:
    organization = await local.organization(arguments.organization)
    history = CallHistory(local.database)
    if arguments.id is None:
        page = await history.list(organization.id, local.actor, limit=1)
        if not page.calls:
            print("There are no calls yet.")
            return 0
        call_id = page.calls[0].id
    else:
        call_id = await history.find(organization.id, local.actor, arguments.id)
    detail = await history.get(organization.id, local.actor, call_id)
    if arguments.json:
        print(json.dumps(asdict(detail), default=str))
    else:
        print(show(detail, width=min(width(), 120), ascii_only=not speaks_unicode()), end="")
    return 0


async def _hang_up(local: Local, arguments: argparse.Namespace) -> int:
    organization = await local.organization(arguments.organization)
    history = CallHistory(local.database)
    call_id = await history.find(organization.id, local.actor, arguments.id)
    await DatabaseCommands(local.database, local.actor).hang_up(call_id, organization.id, local.actor.id)
    try:
        async with asyncio.timeout(_HANG_UP_SECONDS):
            while (call := (await history.get(organization.id, local.actor, call_id)).call).ended_at is None:  # noqa: ASYNC110  # it is the database that is watched
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        raise Unavailable(
            "calls.still_up", "The call is still up: the server that carries it does not react. Is SENT running?"
        ) from None
    print(f"The call is over: {call.end_words}")
    return 0


def _row(call: CallRow, now: datetime) -> tuple[str, ...]:
    arrow = {"inbound": "in", "outbound": "out", "internal": ""}.get(call.direction or "", "")
    talk = duration(call.answered_at, call.ended_at or now) if call.answered_at else "-"
    why = call.end_words or f"({call.state} now)"
    return (
        str(call.id)[-8:],
        f"{call.started_at.astimezone(UTC):%Y-%m-%d %H:%M:%S}",
        arrow,
        party(call.caller_name, call.caller_number),
        party(call.callee_name, call.callee_number or call.dialed),
        talk,
        call.codec or "-",
        "-" if call.mos is None else f"{call.mos:.1f}",
        why,
    )
