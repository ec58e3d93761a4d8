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


async def provision(count: int) -> list[dict[str, str]]:
    made = []
    async with open_local(read_settings()) as local:
        organization = await local.identity.create_organization("Bench", "bench", "US")
        principal = Principal.of_command_line(organization.id, "bench")
        for number in range(1_000, 1_000 + count):
            user = await provisioning.add_person(local, principal, f"User {number}", str(number), Role.MEMBER)
            device = await local.identity.create_device(principal, user.id, "Phone")
            made.append(
                {"user": device.device.sip_username, "password": device.secret, "extension": str(number)}
            )
    return made


if __name__ == "__main__":
    json.dump(asyncio.run(provision(int(sys.argv[1]))), sys.stdout)
