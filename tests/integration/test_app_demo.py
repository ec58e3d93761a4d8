"""The demo organization: made once, found again, with the carrier of this time; and people made in one step."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from tests.integration.app_world import local_to, settings_for

from sent.app import provisioning
from sent.app.demo.numbers import OWN
from sent.app.demo.organization import CARRIER_USER, SLUG, TRUNK, ensure_demo
from sent.app.local import Local
from sent.identity.models import Principal
from sent.identity.roles import Role
from sent.kit.errors import BadInput, Conflict, NotFound
from sent.pbx.models import ExtensionKind
from sent.pbx.store import PbxStore
from sent.trunks.directory import DatabaseAccounts
from sent.trunks.models import TrunkLimits, TrunkMode
from sent.trunks.service import TrunkService

pytestmark = pytest.mark.database


@pytest.fixture
async def local(owner_dsn: str, tmp_path_factory: pytest.TempPathFactory, request) -> AsyncIterator[Local]:
    # One master key for the module, as its database is one.
    data_dir = Path(tmp_path_factory.getbasetemp()) / "app-demo"
    data_dir.mkdir(exist_ok=True)
    async with local_to(settings_for(data_dir, owner_dsn)) as opened:
        yield opened


async def test_it_is_made_once_and_found_again_with_the_same_passwords(local: Local):
    first = await ensure_demo(local, 5070, "carrier-1", new_password=True)
    assert [(phone.person, phone.extension) for phone in first] == [("Alice", "101"), ("Bob", "102")]
    assert len({phone.password for phone in first} | {phone.user_name for phone in first}) == 4
    again = await ensure_demo(local, 5070, "carrier-1", new_password=False)
    assert again == first
    organization = await local.identity.find_organization(SLUG)
    snapshot = await PbxStore(local.database).load(organization.id, local.actor)
    assert {number: extension.kind for number, extension in snapshot.extensions.items()} == {
        "101": ExtensionKind.USER,
        "102": ExtensionKind.USER,
        "600": ExtensionKind.ECHO,
        "601": ExtensionKind.ANNOUNCEMENT,
    }
    assert (snapshot.settings.record_internal, snapshot.settings.record_outside) == (True, True)


async def test_the_carrier_is_made_anew_with_its_new_port_and_password(local: Local):
    await ensure_demo(local, 5070, "carrier-1", new_password=True)
    await ensure_demo(local, 5080, "carrier-2", new_password=True)
    organization = await local.identity.find_organization(SLUG)
    (trunk,) = await TrunkService(local.database, local.vault).trunks(organization.id, local.actor)
    assert (trunk.name, trunk.mode, trunk.domain) == (TRUNK, TrunkMode.REGISTER, "127.0.0.1:5080")
    (account,) = (
        one
        for one in await DatabaseAccounts(local.database, local.vault).load()
        if one.trunk.organization_id == organization.id
    )
    assert (account.trunk.username, account.password) == (CARRIER_USER, "carrier-2")
    assert [(number.number, number.extension) for number in account.numbers] == [(OWN, "101")]


async def test_what_people_added_to_it_stays(local: Local):
    await ensure_demo(local, 5070, "carrier-1", new_password=True)
    organization = await local.identity.find_organization(SLUG)
    principal = Principal.of_command_line(organization.id, "root")
    await provisioning.add_person(local, principal, "Carol", "103", Role.MEMBER)
    await provisioning.add_device(local, principal, "Carol", "Desk")
    service = TrunkService(local.database, local.vault)
    (trunk,) = await service.trunks(organization.id, local.actor)
    await service.set_limits(organization.id, trunk.id, TrunkLimits(concurrent_calls=3), local.actor)
    phones = await ensure_demo(local, 5070, "carrier-1", new_password=False)
    (kept,) = await service.trunks(organization.id, local.actor)
    assert (kept.id, kept.limits.concurrent_calls) == (trunk.id, 3)
    assert [phone.extension for phone in phones] == ["101", "102", "103"]


async def _acme(local: Local, slug: str) -> Principal:
    organization = await local.identity.create_organization("Acme", slug, "US")
    return Principal.of_command_line(organization.id, "root")


async def test_a_person_is_found_by_extension_and_by_name(local: Local):
    principal = await _acme(local, "found")
    made = await provisioning.add_person(local, principal, "Alice Doe", "101", Role.ADMIN)
    for who in ("101", "alice doe", "ALICE DOE"):
        assert (await provisioning.person_at(local, principal, who)).user.id == made.id
    for who in ("102", "Alice", ""):
        with pytest.raises(NotFound):
            await provisioning.person_at(local, principal, who)
    (person,) = await provisioning.people(local, principal)
    assert (person.extensions, person.devices) == (("101",), ())


async def test_nobody_is_made_who_cannot_have_the_extension(local: Local):
    principal = await _acme(local, "taken")
    await provisioning.add_person(local, principal, "Alice", "101", Role.MEMBER)
    with pytest.raises(Conflict, match="Alice's"):
        await provisioning.add_person(local, principal, "Bob", "101", Role.MEMBER)
    with pytest.raises(BadInput):
        await provisioning.add_person(local, principal, "Bob", "one", Role.MEMBER)
    assert [person.user.name for person in await provisioning.people(local, principal)] == ["Alice"]


async def test_a_device_belongs_to_its_person_and_is_found_by_its_user_name(local: Local):
    principal = await _acme(local, "device")
    await provisioning.add_person(local, principal, "Alice", None, Role.MEMBER)
    made = await provisioning.add_device(local, principal, "Alice", "Desk")
    assert await provisioning.find_device(local, principal, made.device.sip_username) == made.device.id
    (person,) = await provisioning.people(local, principal)
    assert [device.name for device in person.devices] == ["Desk"]
    stranger = await _acme(local, "stranger")
    with pytest.raises(NotFound):
        await provisioning.find_device(local, stranger, made.device.sip_username)


async def test_with_several_organizations_the_one_must_be_named(local: Local):
    await _acme(local, "several-1")
    await _acme(local, "several-2")
    with pytest.raises(BadInput, match=r"several-1.*several-2"):
        await local.organization(None)
    assert (await local.organization("several-2")).slug == "several-2"
