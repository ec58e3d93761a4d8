"""`sent trunk add|list|limits|remove`: carriers."""

from __future__ import annotations

import argparse
import asyncio
import getpass
import sys
from dataclasses import replace
from datetime import UTC, datetime
from uuid import UUID

from sent.app import provisioning
from sent.app.local import Local
from sent.cli.terminal import GREEN, RED, YELLOW, add_organization, paint, table, with_local
from sent.kit.errors import BadInput, NotFound
from sent.kit.ids import uuid7
from sent.trunks.models import CallerIdHeader, SrtpPolicy, Trunk, TrunkLimits, TrunkMode
from sent.trunks.numbers import to_e164
from sent.trunks.repository_status import TrunkStatus
from sent.trunks.service import TrunkService
from sent.trunks.status import STALE_AFTER, read_status

_VALIDATE_SECONDS = 20.0


def add_arguments(parser: argparse.ArgumentParser) -> None:
    actions = parser.add_subparsers(dest="action", required=True)
    add = actions.add_parser("add", help="connect a carrier, by registration (--user) or by address (--source)")
    add.add_argument("name", help="what to call it")
    add.add_argument("domain", help="the carrier's SIP domain or address, with :port if it is not the usual one")
    add.add_argument("--user", help="register with this user name; the password is asked for, or read from stdin")
    add.add_argument("--auth-user", help="the user name for digest, where it differs")
    add.add_argument(
        "--source", action="append", default=[], metavar="ADDRESS", help="calls come from here; repeatable"
    )
    add.add_argument("--number", help="the number that it brings, and its caller ID outwards, for example +12025550190")
    add.add_argument("--rings", metavar="EXTENSION", help="what --number rings, for example 101")
    add.add_argument(
        "--prefix",
        default="9",
        help="dialled before a number outside (default 9; empty: only numbers that begin with + go out)",
    )
    add.add_argument("--transport", choices=["UDP", "TCP", "TLS"], default="UDP")
    add.add_argument("--proxy", metavar="HOST[:PORT]", help="send to this host instead of the domain")
    add.add_argument(
        "--srtp", choices=[p.value for p in SrtpPolicy], default=SrtpPolicy.OFF.value, help="encrypted audio"
    )
    add.add_argument(
        "--country",
        help="how numbers without + are read (default: the organization's; empty: a line to another phone system)",
    )
    add.add_argument("--caller-id-in", choices=[h.value for h in CallerIdHeader], default=CallerIdHeader.FROM.value)
    add.add_argument("--priority", type=int, default=10, help="lower is tried first (default 10)")
    limits = actions.add_parser("limits", help="change what may be spent through a carrier")
    limits.add_argument("name")
    for action in (add, limits):
        action.add_argument("--concurrent", type=int, help="calls at once (default 10)")
        action.add_argument("--per-minute", type=int, help="new calls a minute (default 30)")
        action.add_argument("--per-day", type=int, help="new calls a day (default 1000)")
        action.add_argument(
            "--open", action="append", metavar="COUNTRY", help="allow calls to this country, or * for all; repeatable"
        )
        action.add_argument("--premium", action=argparse.BooleanOptionalAction, help="allow premium numbers")
    remove = actions.add_parser("remove", help="disconnect a carrier and forget it")
    remove.add_argument("name")
    for action in (add, limits, remove, actions.add_parser("list", help="list carriers and their state")):
        add_organization(action)


def run(arguments: argparse.Namespace) -> int:
    password = None
    if arguments.action == "add" and arguments.user:
        password = sys.stdin.readline().rstrip("\n") if not sys.stdin.isatty() else getpass.getpass("SIP password: ")
    return with_local(lambda local: _run(local, arguments, password))


async def _run(local: Local, arguments: argparse.Namespace, password: str | None) -> int:
    organization = await local.organization(arguments.organization)
    service = TrunkService(local.database, local.vault)
    match arguments.action:
        case "add":
            country = organization.home_region if arguments.country is None else arguments.country
            trunk = Trunk(
                id=uuid7(),
                organization_id=organization.id,
                name=arguments.name,
                mode=TrunkMode.REGISTER if arguments.user else TrunkMode.ADDRESS,
                domain=arguments.domain,
                transport=arguments.transport,
                proxy=arguments.proxy,
                username=arguments.user,
                auth_username=arguments.auth_user,
                country=country,
                caller_id=arguments.number,
                caller_id_header=CallerIdHeader(arguments.caller_id_in),
                sources=tuple(arguments.source),
                srtp=SrtpPolicy(arguments.srtp),
                priority=arguments.priority,
                outside_prefix=arguments.prefix,
                limits=_limits(TrunkLimits(), arguments),
            )
            if arguments.rings:
                await _check_number(local, arguments, country)
            await service.add(trunk, password, local.actor)
            if arguments.rings:
                await service.add_number(trunk, arguments.number, arguments.rings, local.actor)
            print(f"Trunk {trunk.name} is stored.")
            return await _watch(local, trunk)
        case "limits":
            trunk = await find_trunk(local, service, organization.id, arguments.name)
            await service.set_limits(organization.id, trunk.id, _limits(trunk.limits, arguments), local.actor)
            print(f"The limits of {trunk.name} are set.")
        case "remove":
            trunk = await find_trunk(local, service, organization.id, arguments.name)
            await service.remove(organization.id, trunk.id, local.actor)
            print(f"Trunk {trunk.name} is gone.")
        case _:
            await _list(local, service, organization.id)
    return 0


async def _check_number(local: Local, arguments: argparse.Namespace, country: str) -> None:
    """Before anything is stored. Raises `BadInput` and `NotFound`."""
    if not arguments.number:
        raise BadInput("trunk.no_number", "--rings says where calls to --number go: give --number, too.")
    if to_e164(arguments.number, country) is None:
        raise BadInput("trunk.bad_number", f"{arguments.number} is not a telephone number. Write it as +4930123456.")
    principal = await local.principal(arguments.organization)
    await provisioning.extension_at(local, principal, arguments.rings)


async def find_trunk(local: Local, service: TrunkService, organization_id: UUID, name: str) -> Trunk:
    """Raises `NotFound`."""
    for trunk in await service.trunks(organization_id, local.actor):
        if trunk.name.casefold() == name.casefold():
            return trunk
    raise NotFound("trunk.not_found", f"There is no trunk named {name}; `sent trunk list` shows all.")


def _limits(limits: TrunkLimits, arguments: argparse.Namespace) -> TrunkLimits:
    given = {
        "concurrent_calls": arguments.concurrent,
        "calls_per_minute": arguments.per_minute,
        "calls_per_day": arguments.per_day,
        "countries": tuple(arguments.open) if arguments.open is not None else None,
        "premium": arguments.premium,
    }
    return replace(limits, **{name: value for name, value in given.items() if value is not None})


async def _watch(local: Local, trunk: Trunk) -> int:
    """Say what the running server makes of the new trunk, as it happens."""
    said = ""
    end = asyncio.get_running_loop().time() + _VALIDATE_SECONDS
    while asyncio.get_running_loop().time() < end:
        status = (await read_status(local.database, trunk.organization_id, local.actor)).get(trunk.id)
        if status is not None:
            words = status.words
            if words != said:
                print(words)
                said = words
            if status.phase == "registered" or (status.phase is None and status.health_words != "Not tried yet."):
                return 0
            if status.phase == "retrying":
                print("SENT keeps trying. Is it a typing error? Then: sent trunk remove, and add it again.")
                return 1
        await asyncio.sleep(0.5)
    if said:
        print("The carrier has not answered yet. SENT keeps trying; `sent trunk list` says how it stands.")
        return 1
    print("It will be connected when SENT runs (sent serve).")
    return 0


async def _list(local: Local, service: TrunkService, organization_id: UUID) -> None:
    trunks = await service.trunks(organization_id, local.actor)
    numbers = await service.numbers(organization_id, local.actor)
    seen = await read_status(local.database, organization_id, local.actor)
    now = datetime.now(UTC)
    rows = []
    for trunk in trunks:
        own = ", ".join(f"{n.number} → {n.extension}" for n in numbers if n.trunk_id == trunk.id)
        health, words = _state(seen.get(trunk.id), now)
        rows.append((trunk.name, trunk.mode.value, trunk.domain, own or "none", health, _spending(trunk.limits), words))
    head = ("NAME", "BY", "CARRIER", "NUMBERS", "STATE", "LIMITS", "LAST HEARD")
    print(table(head, rows, "There is no carrier yet: sent trunk add NAME DOMAIN --user USER"))


def _spending(limits: TrunkLimits) -> str:
    abroad = "all countries" if "*" in limits.countries else " ".join(["national", *limits.countries])
    premium = ", premium" if limits.premium else ""
    return (
        f"{limits.concurrent_calls} at once, {limits.calls_per_minute}/min, {limits.calls_per_day}/day,"
        f" {abroad}{premium}"
    )


def _state(status: TrunkStatus | None, now: datetime) -> tuple[str, str]:
    if status is None or now - status.seen_at > STALE_AFTER:
        return "unknown", "SENT does not run"
    state = "not registered" if status.phase == "retrying" and status.registered_until is None else status.health
    colour = {"up": GREEN, "suspect": YELLOW}.get(state, RED)
    until = ""
    if status.registered_until is not None:
        until = f" The registration lasts {max(0, round((status.registered_until - now).total_seconds()))} s more."
    return paint(state, colour), status.words + until
