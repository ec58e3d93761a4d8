"""`sent recordings list|export|switch|keep`."""

from __future__ import annotations

import argparse
from pathlib import Path
from uuid import UUID

from sent.app.background import recording_store
from sent.app.local import Local
from sent.calls.history import CallHistory
from sent.cli.terminal import add_organization, table, with_local
from sent.infra.vault import load_master_key
from sent.kit.errors import BadInput, NotFound
from sent.media.engine import open_spool, render_ogg
from sent.pbx.models import PbxSettings
from sent.pbx.store import PbxStore
from sent.recordings import Keeping
from sent.recordings.exports import ExportFormat, Exports
from sent.recordings.models import Recording
from sent.recordings.spool import Spool


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    export = actions.add_parser("export", help="write a recording as a stereo file: caller left, callee right")
    export.add_argument("id", help="the recording's id or its call's, or a part of its start or end")
    export.add_argument("-o", "--out", type=Path, help="the file (default: the id, in this folder)")
    export.add_argument(
        "--format", choices=[f.value for f in ExportFormat], help="default: by the file's ending, else wav"
    )
    add_organization(export)
    switch = actions.add_parser("switch", help="say which calls are recorded, or show it")
    switch.add_argument("--inside", choices=["on", "off"], help="calls between extensions")
    switch.add_argument("--outside", choices=["on", "off"], help="calls from and to carriers")
    add_organization(switch)
    keep = actions.add_parser("keep", help="say how long recordings are kept, or show it")
    keep.add_argument("days", nargs="?", help="a number of days, or: forever")
    keep.add_argument("--yes", action="store_true", help="do not ask before recordings are destroyed")
    add_organization(keep)
    add_organization(actions.add_parser("list", help="list the latest recordings"))


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    organization = await local.organization(arguments.organization)
    if arguments.action == "switch":
        await _switch(local, organization.id, arguments)
        return 0
    if arguments.action == "keep":
        return await _keep(local, organization.id, arguments)
    spool = Spool(
        local.settings.data_dir / "spool" / "recordings", load_master_key(local.settings.data_dir / "master.key")
    )
    try:
        exports = Exports(
            local.database, local.vault, recording_store(local.settings), open_spool, spool=spool, render_ogg=render_ogg
        )
        if arguments.action == "list":
            rows = [_row(r) for r in await exports.latest(organization.id, local.actor)]
            head = ("ID", "CALL", "STARTED (UTC)", "SECONDS", "STATE")
            print(table(head, rows, "Nothing was recorded yet."))
            return 0
        recording_id = await _find(local, exports, organization.id, arguments.id)
        form = _format(arguments.format or (arguments.out.suffix[1:].lower() if arguments.out else "") or "wav")
        out = arguments.out or Path(f"{recording_id}.{form.value}")
        done = await exports.export(organization.id, local.actor, recording_id, form, out.absolute())
        note = " It ends early: " + done.error if done.error else ""
        print(f"Wrote {out}, caller left, callee right.{note}")
        return 0
    finally:
        spool.close()


async def _switch(local: Local, organization_id: UUID, arguments: argparse.Namespace) -> None:
    store = PbxStore(local.database)
    settings = (await store.load(organization_id, local.actor)).settings
    if arguments.inside or arguments.outside:
        settings = PbxSettings(
            record_internal=arguments.inside == "on" if arguments.inside else settings.record_internal,
            record_outside=arguments.outside == "on" if arguments.outside else settings.record_outside,
        )
        await store.put_settings(organization_id, local.actor, settings)
    for calls, recorded in (("inside", settings.record_internal), ("outside", settings.record_outside)):
        print(f"Calls {calls} are {'recorded' if recorded else 'not recorded'}.")


async def _keep(local: Local, organization_id: UUID, arguments: argparse.Namespace) -> int:
    keeping = Keeping(local.database)
    if arguments.days is not None:
        if arguments.days != "forever" and not arguments.days.isdecimal():
            raise BadInput("recording.keep_days", "Write a number of days, or: forever.")
        days = None if arguments.days == "forever" else int(arguments.days)
        ending = await keeping.ending_with(organization_id, local.actor, days)
        if ending and not arguments.yes:
            print(f"{ending} recordings are older and would be destroyed within the hour. If you mean it, add --yes.")
            return 1
        await keeping.set_days(organization_id, local.actor, days)
    days = await keeping.days(organization_id, local.actor)
    print("Recordings are kept for ever." if days is None else f"Recordings are kept for {days} days.")
    return 0


def _format(name: str) -> ExportFormat:
    try:
        return ExportFormat(name)
    except ValueError:
        known = " or ".join(form.value for form in ExportFormat)
        raise BadInput(
            "recording.bad_format", f"There is no export as {name}; choose {known}, with --format."
        ) from None


async def _find(local: Local, exports: Exports, organization_id: UUID, part: str) -> UUID:
    for recording in await exports.latest(organization_id, local.actor, limit=1_000):
        for whole in (str(recording.id), str(recording.call_id)):
            if len(part) >= 4 and (whole.startswith(part) or whole.endswith(part)):
                return recording.id
    try:
        call_id = await CallHistory(local.database).find(organization_id, local.actor, part)
    except (NotFound, BadInput):
        raise NotFound(
            "recording.not_found", f"There is no recording {part}; `sent recordings list` shows them."
        ) from None
    found = await exports.of_call(organization_id, local.actor, call_id)
    if not found:
        raise NotFound("recording.not_found", f"The call {part} was not recorded.")
    return found[0].id


def _row(recording: Recording) -> tuple[str, ...]:
    seconds = "-" if recording.duration_ms is None else f"{recording.duration_ms / 1000:.1f}"
    return (
        str(recording.id)[-8:],
        str(recording.call_id)[-8:],
        f"{recording.started_at:%Y-%m-%d %H:%M:%S}",
        seconds,
        recording.state.value + (f" ({recording.error})" if recording.error else ""),
    )
