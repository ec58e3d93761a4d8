"""The demo organization: made at the first start, found again at the next."""

from __future__ import annotations

from dataclasses import dataclass

from sent.app import provisioning
from sent.app.demo.numbers import COUNTRY, OWN
from sent.app.local import Local
from sent.identity.models import Organization, Principal
from sent.identity.roles import Role
from sent.kit.errors import NotFound
from sent.kit.ids import uuid7
from sent.pbx.announcements import WELCOME
from sent.pbx.models import ExtensionKind, PbxSettings
from sent.pbx.store import PbxStore
from sent.trunks.models import CallerIdHeader, SrtpPolicy, Trunk, TrunkLimits, TrunkMode
from sent.trunks.service import TrunkService

SLUG = "demo"
TRUNK = "Demo carrier"
CARRIER_USER = "demo-customer"


@dataclass(frozen=True, slots=True)
class DemoPhone:
    person: str
    extension: str
    user_name: str
    password: str


async def ensure_demo(local: Local, carrier_port: int, carrier_password: str, *, new_password: bool) -> list[DemoPhone]:
    """The organization with Alice, Bob, an echo test, an announcement and the demo carrier. Returns the phones.

    The trunk is made anew only when the carrier has a ``new_password`` or another port, so its limits and numbers stay.
    """
    try:
        organization = await local.identity.find_organization(SLUG)
    except NotFound:
        organization = await _make(local)
    principal = Principal.of_command_line(organization.id, local.actor.id)
    await _connect_carrier(local, organization, carrier_port, carrier_password, new_password=new_password)
    phones = []
    for person in await provisioning.people(local, principal):
        for device in person.devices:
            secret = await local.identity.reveal_device_secret(principal, device.id)
            phones.append(DemoPhone(person.user.name, ", ".join(person.extensions), device.sip_username, secret.secret))
    return phones


async def _make(local: Local) -> Organization:
    organization = await local.identity.create_organization("Demo", SLUG, COUNTRY)
    principal = Principal.of_command_line(organization.id, local.actor.id)
    for name, extension, role in (("Alice", "101", Role.OWNER), ("Bob", "102", Role.MEMBER)):
        await provisioning.add_person(local, principal, name, extension, role)
        await provisioning.add_device(local, principal, extension, f"{name}'s phone")
    store, actor = PbxStore(local.database), principal.actor
    await store.put_extension(organization.id, actor, "600", ExtensionKind.ECHO, name="Echo test")
    await store.put_extension(
        organization.id, actor, "601", ExtensionKind.ANNOUNCEMENT, name="Announcement", announcement=WELCOME
    )
    # Recording is shown at once in the demo; a real organization starts with it off.
    await store.put_settings(organization.id, actor, PbxSettings(record_internal=True, record_outside=True))
    return organization


async def _connect_carrier(
    local: Local, organization: Organization, port: int, password: str, *, new_password: bool
) -> None:
    service = TrunkService(local.database, local.vault)
    for trunk in await service.trunks(organization.id, local.actor):
        if trunk.name == TRUNK:
            if trunk.domain == f"127.0.0.1:{port}" and not new_password:
                return
            await service.remove(organization.id, trunk.id, local.actor)
    trunk = Trunk(
        id=uuid7(),
        organization_id=organization.id,
        name=TRUNK,
        mode=TrunkMode.REGISTER,
        domain=f"127.0.0.1:{port}",
        transport="UDP",
        proxy=None,
        username=CARRIER_USER,
        auth_username=None,
        country=COUNTRY,
        caller_id=OWN,
        caller_id_header=CallerIdHeader.FROM,
        sources=(),
        srtp=SrtpPolicy.OFF,
        priority=10,
        outside_prefix="9",
        limits=TrunkLimits(),
    )
    await service.add(trunk, password, local.actor)
    await service.add_number(trunk, OWN, "101", local.actor)
