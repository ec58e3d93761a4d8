"""`sent device add|list|show|reset|disable|enable`: phones and their SIP credentials."""

from __future__ import annotations

import argparse
import json

from sent.app import provisioning
from sent.app.addresses import address_for_phones
from sent.app.local import Local
from sent.app.settings import Settings
from sent.cli.terminal import add_organization, table, with_local
from sent.identity.models import NewSecret


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add a phone for a person")
    add.add_argument("who", help="extension or name")
    add.add_argument("--name", default="Phone", help="what to call it (default: Phone)")
    show = actions.add_parser("show", help="show a phone's credentials again (this is audited)")
    reset = actions.add_parser("reset", help="give a phone a new password; the old one stops working")
    disable = actions.add_parser("disable", help="stop a phone, for example a lost one")
    enable = actions.add_parser("enable", help="let it work again")
    for action in (show, reset, disable, enable):
        action.add_argument("user_name", help="the phone's SIP user name")
    for action in (disable, enable):
        add_organization(action)
    for action in (add, show, reset):
        action.add_argument("--json", action="store_true", help="for programs")
        add_organization(action)
    add_organization(actions.add_parser("list", help="list all phones"))


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    principal = await local.principal(arguments.organization)
    match arguments.action:
        case "add":
            made = await provisioning.add_device(local, principal, arguments.who, arguments.name)
        case "show":
            device_id = await provisioning.find_device(local, principal, arguments.user_name)
            made = await local.identity.reveal_device_secret(principal, device_id)
        case "reset":
            device_id = await provisioning.find_device(local, principal, arguments.user_name)
            made = await local.identity.reset_device_secret(principal, device_id)
        case "disable" | "enable":
            device_id = await provisioning.find_device(local, principal, arguments.user_name)
            device = await local.identity.disable_device(principal, device_id, arguments.action == "disable")
            print(f"{device.name} ({device.sip_username}) is {arguments.action}d.")
            return 0
        case _:
            rows = [
                (device.sip_username, device.name, person.user.name, "disabled" if device.disabled_at else "")
                for person in await provisioning.people(local, principal)
                for device in person.devices
            ]
            print(table(("USER NAME", "DEVICE", "PERSON", ""), rows, "There are no phones yet: sent device add WHO"))
            return 0
    print(_as_json(made) if arguments.json else _as_text(made, local.settings))
    return 0


def _as_json(made: NewSecret) -> str:
    return json.dumps({"user_name": made.device.sip_username, "password": made.secret, "name": made.device.name})


def _as_text(made: NewSecret, settings: Settings) -> str:
    host = address_for_phones(settings)
    return (
        f"Set up {made.device.name} with:\n"
        f"  user name   {made.device.sip_username}\n"
        f"  password    {made.secret}\n"
        f"  server      {host}, port {settings.sip_port} (UDP or TCP) or {settings.sip_tls_port} (TLS)"
    )
