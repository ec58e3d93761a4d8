"""`sent extension add|list|remove`: what a dialled number does."""

from __future__ import annotations

import argparse

from sent.app import provisioning
from sent.app.local import Local
from sent.cli.terminal import add_organization, table, with_local
from sent.pbx.announcements import WELCOME, find_announcements
from sent.pbx.models import ExtensionKind
from sent.pbx.store import PbxStore


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add an extension, or change what it does")
    add.add_argument("number")
    what = add.add_mutually_exclusive_group(required=True)
    what.add_argument("--user", metavar="WHO", help="ring this person")
    what.add_argument("--echo", action="store_true", help="send the caller's own voice back")
    what.add_argument(
        "--announcement", metavar="NAME", help=f"play a WAV file of the announcements folder ({WELCOME} ships)"
    )
    add.add_argument("--name", default="", help="shown to callers")
    remove = actions.add_parser("remove", help="remove an extension")
    remove.add_argument("number")
    for action in (add, remove, actions.add_parser("list", help="list all extensions")):
        add_organization(action)


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    principal = await local.principal(arguments.organization)
    store = PbxStore(local.database)
    match arguments.action:
        case "add":
            person = await provisioning.person_at(local, principal, arguments.user) if arguments.user else None
            kind = (
                ExtensionKind.USER if person else ExtensionKind.ECHO if arguments.echo else ExtensionKind.ANNOUNCEMENT
            )
            await store.put_extension(
                principal.organization_id,
                principal.actor,
                arguments.number,
                kind,
                name=arguments.name or (person.user.name if person else ""),
                user_id=person.user.id if person else None,
                announcement=arguments.announcement,
            )
            print(f"Extension {arguments.number} is set.")
            folder = local.settings.data_dir / "announcements"
            if arguments.announcement and arguments.announcement not in find_announcements(folder):
                print(f"There is no {folder / arguments.announcement}.wav yet: put it there and restart SENT.")
        case "remove":
            await store.delete_extension(principal.organization_id, principal.actor, arguments.number)
            print(f"Extension {arguments.number} is gone.")
        case _:
            rows = [
                (e.number, e.kind.value, e.name or e.announcement or "")
                for e in await provisioning.extensions(local, principal)
            ]
            print(table(("NUMBER", "KIND", "NAME"), rows, "There are no extensions yet: sent extension add NUMBER"))
    return 0
