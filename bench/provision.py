"""`python -m bench.provision COUNT`: people with phones, as JSON on standard output. Faster than as many commands."""

from __future__ import annotations

import asyncio
import json
import sys

from sent.app import provisioning
from sent.app.local import open_local
from sent.app.settings import read_settings
from sent.identity.models import Principal
from sent.identity.roles import Role

ORGANIZATIONS = 4
"""The calls of a figure are spread over several, as one may have 500 up at once."""


async def provision(count: int) -> list[dict[str, str]]:
    """``count`` people, in turn of one organization after the other; extensions count from 1000 in each."""
    made = []
    async with open_local(read_settings()) as local:
        slugs = [f"bench-{n}" for n in range(ORGANIZATIONS)]
        organizations = [await local.identity.create_organization(slug, slug, "US") for slug in slugs]
        for number in range(count):
            organization = organizations[number % ORGANIZATIONS]
            principal = Principal.of_command_line(organization.id, "bench")
            extension = str(1_000 + number // ORGANIZATIONS)
            user = await provisioning.add_person(local, principal, f"User {number}", extension, Role.MEMBER)
            new = await local.identity.create_device(principal, user.id, "Phone")
            made.append({"user": new.device.sip_username, "password": new.secret, "extension": extension})
    return made


if __name__ == "__main__":
    json.dump(asyncio.run(provision(int(sys.argv[1]))), sys.stdout)
