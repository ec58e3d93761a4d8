"""`sent number add`: which extension a carrier's number rings."""

from __future__ import annotations

import argparse

from sent.app import provisioning
from sent.app.local import Local
from sent.cli.terminal import add_organization, with_local
from sent.cli.trunk import find_trunk
from sent.trunks.service import TrunkService


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="let a number of a carrier ring an extension")
    add.add_argument("trunk")
    add.add_argument("number", help="for example +12025550190")
    add.add_argument("extension", help="for example 101")
    add_organization(add)


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    principal = await local.principal(arguments.organization)
    service = TrunkService(local.database, local.vault)
    trunk = await find_trunk(local, service, principal.organization_id, arguments.trunk)
    await provisioning.extension_at(local, principal, arguments.extension)
    made = await service.add_number(trunk, arguments.number, arguments.extension, local.actor)
    print(f"Calls to {made.number} ring {made.extension}.")
    return 0
