"""`sent user add|list|disable|enable`."""

from __future__ import annotations

import argparse

from sent.app import provisioning
from sent.app.local import Local
from sent.cli.terminal import add_organization, table, with_local
from sent.identity.roles import Role


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add a person")
    add.add_argument("name")
    add.add_argument("--extension", help="the number that rings this person, for example 101")
    add.add_argument("--role", choices=[role.value for role in Role], default=Role.MEMBER.value)
    add_organization(add)
    for word, effect in (("disable", "stop all phones of a person"), ("enable", "let them work again")):
        action = actions.add_parser(word, help=effect)
        action.add_argument("who", help="extension or name")
        add_organization(action)
    add_organization(actions.add_parser("list", help="list everyone"))


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    principal = await local.principal(arguments.organization)
    if arguments.action == "add":
        await provisioning.add_person(local, principal, arguments.name, arguments.extension, Role(arguments.role))
        who = arguments.extension or f'"{arguments.name}"'
        print(f"{arguments.name} is there. Next: sent device add {who}")
        return 0
    if arguments.action in ("disable", "enable"):
        person = await provisioning.person_at(local, principal, arguments.who)
        await local.identity.disable_user(principal, person.user.id, arguments.action == "disable")
        print(f"{person.user.name} is {arguments.action}d.")
        return 0
    rows = [
        (
            person.user.name,
            person.user.role.value,
            ", ".join(person.extensions) or "none",
            str(len(person.devices)),
            "disabled" if person.user.disabled_at else "",
        )
        for person in await provisioning.people(local, principal)
    ]
    print(table(("NAME", "ROLE", "EXTENSION", "DEVICES", ""), rows, "Nobody is there yet: sent user add NAME"))
    return 0
