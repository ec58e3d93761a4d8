"""`sent organization add|list`."""

from __future__ import annotations

import argparse
import re
import unicodedata

from sent.app.local import Local
from sent.cli.terminal import table, with_local


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="add an organization")
    add.add_argument("name")
    add.add_argument("--slug", help="its short name in commands (default: made of the name)")
    add.add_argument("--region", default="US", metavar="COUNTRY", help="how numbers without + are read (default US)")
    actions.add_parser("list", help="list all organizations")


def run(arguments: argparse.Namespace) -> int:
    return with_local(lambda local: _run(local, arguments))


async def _run(local: Local, arguments: argparse.Namespace) -> int:
    if arguments.action == "add":
        slug = arguments.slug or _slug(arguments.name)
        made = await local.identity.create_organization(arguments.name, slug, arguments.region)
        print(f"{made.name} is there, as {made.slug}. Next: sent user add NAME --extension 101")
        return 0
    rows = [(o.slug, o.name, o.home_region) for o in await local.identity.list_organizations()]
    print(table(("SLUG", "NAME", "REGION"), rows, "There is no organization yet. Add one: sent organization add NAME"))
    return 0


def _slug(name: str) -> str:
    """Letters lose their accents; what is left over becomes hyphens."""
    plain = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode()
    return re.sub(r"[^a-z0-9]+", "-", plain.lower()).strip("-")
