"""Organizations, users and devices on a real database."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from sent.identity.models import DigestAlgorithm, Principal
from sent.identity.roles import Role
from sent.identity.service import Identity
from sent.infra.db import Actor, Database, SystemReason
from sent.infra.vault import Vault, load_master_key
from sent.kit.errors import BadInput, Conflict, NotAllowed, NotFound
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database


@pytest.fixture
def vault(tmp_path: Path) -> Vault:
    return Vault(load_master_key(tmp_path / "master.key"))


@pytest.fixture
def identity(database: Database, vault: Vault) -> Identity:
    return Identity(database, vault)


async def new_owner(identity: Identity) -> Principal:
    """A fresh organization and its owner, acting."""
    organization = await identity.create_organization("Acme", f"acme-{uuid7().hex[-12:]}", "DE")
    owner = await identity.create_user(
        Principal.of_command_line(organization.id, "root"), "Olga", "olga@example.org", Role.OWNER
    )
    return Principal(organization.id, Actor("user", str(owner.id)), Role.OWNER)


async def test_an_organization_is_found_by_its_short_name(identity: Identity) -> None:
    made = await identity.create_organization("Beta", "beta", "US")
    assert await identity.find_organization("beta") == made
    assert made in await identity.list_organizations()
    with pytest.raises(Conflict, match="another short name"):
        await identity.create_organization("Beta 2", "beta", "US")
    with pytest.raises(NotFound):
        await identity.find_organization("gamma")


async def test_making_an_organization_is_audited(identity: Identity, database: Database) -> None:
    made = await identity.create_organization("Told", "told", "DE")
    async with database.system(SystemReason.DIAGNOSE) as connection:
        cursor = await connection.execute(
            "SELECT actor, action, delta FROM sent.audit WHERE row_id = %s", (str(made.id),)
        )
        assert await cursor.fetchall() == [("system:provision", "organization.create", {"slug": "told"})]


async def test_an_organization_sees_itself_and_no_other(identity: Identity, database: Database) -> None:
    principal = await new_owner(identity)
    await new_owner(identity)
    async with database.transaction(principal.organization_id, principal.actor) as connection:
        cursor = await connection.execute("SELECT id FROM sent.organizations")
        assert await cursor.fetchall() == [(principal.organization_id,)]


async def test_users_by_role(identity: Identity) -> None:
    owner = await new_owner(identity)
    admin_user = await identity.create_user(owner, "Adam", None, Role.ADMIN)
    admin = Principal(owner.organization_id, Actor("user", str(admin_user.id)), Role.ADMIN)
    member_user = await identity.create_user(admin, "Mia", "mia@example.org", Role.MEMBER)
    member = Principal(owner.organization_id, Actor("user", str(member_user.id)), Role.MEMBER)
    assert [user.name for user in await identity.list_users(owner)] == ["Adam", "Mia", "Olga"]
    with pytest.raises(NotAllowed):
        await identity.create_user(admin, "Oscar", None, Role.OWNER)
    with pytest.raises(NotAllowed):
        await identity.set_user_role(admin, member_user.id, Role.OWNER)
    with pytest.raises(NotAllowed):
        await identity.create_user(member, "Max", None, Role.MEMBER)
    with pytest.raises(NotAllowed):
        await identity.create_device(member, member_user.id, "Desk")
    assert (await identity.set_user_role(admin, member_user.id, Role.ADMIN)).role is Role.ADMIN


async def test_an_address_is_taken_whatever_its_capitals(identity: Identity) -> None:
    owner = await new_owner(identity)
    with pytest.raises(Conflict, match="exists already"):
        await identity.create_user(owner, "Olga 2", "OLGA@example.org", Role.MEMBER)


async def test_the_last_owner_stays(identity: Identity) -> None:
    owner = await new_owner(identity)
    only = UUID(owner.actor.id)
    for change in (identity.disable_user(owner, only), identity.set_user_role(owner, only, Role.ADMIN)):
        with pytest.raises(Conflict, match="last active owner"):
            await change
    second = await identity.create_user(owner, "Otto", None, Role.OWNER)
    assert (await identity.disable_user(owner, only)).disabled_at is not None
    with pytest.raises(Conflict):
        await identity.disable_user(owner, second.id)


async def test_a_device_s_secret_is_shown_once_and_stored_sealed(identity: Identity, database: Database) -> None:
    owner = await new_owner(identity)
    made = await identity.create_device(owner, UUID(owner.actor.id), "Desk phone")
    assert made.device.digest_algorithm is DigestAlgorithm.MD5
    assert made.secret not in repr(made)
    async with database.system(SystemReason.DIAGNOSE) as connection:
        row = await (
            await connection.execute("SELECT sealed_secret FROM sent.devices WHERE id = %s", (made.device.id,))
        ).fetchone()
        assert row is not None
        assert made.secret.encode() not in row[0]
        told = await (
            await connection.execute("SELECT delta FROM sent.audit WHERE row_id = %s", (str(made.device.id),))
        ).fetchall()
        assert [delta["sealed_secret"] for (delta,) in told] == ["changed"]
    assert await identity.list_devices(owner, UUID(owner.actor.id)) == [made.device]


async def test_a_reset_gives_another_secret(identity: Identity) -> None:
    owner = await new_owner(identity)
    made = await identity.create_device(owner, UUID(owner.actor.id), "Desk phone")
    again = await identity.reset_device_secret(owner, made.device.id)
    assert again.device.sip_username == made.device.sip_username
    assert again.secret != made.secret


async def test_another_organization_s_users_and_devices_are_not_there(identity: Identity) -> None:
    mine, theirs = await new_owner(identity), await new_owner(identity)
    device = (await identity.create_device(theirs, UUID(theirs.actor.id), "Desk")).device
    with pytest.raises(NotFound):
        await identity.create_device(mine, UUID(theirs.actor.id), "Spy")
    with pytest.raises(NotFound):
        await identity.disable_user(mine, UUID(theirs.actor.id))
    for change in (
        identity.disable_device(mine, device.id),
        identity.reset_device_secret(mine, device.id),
        identity.set_device_algorithm(mine, device.id, DigestAlgorithm.SHA_256),
    ):
        with pytest.raises(NotFound):
            await change
    assert await identity.list_devices(mine) == []


async def test_bad_names_change_nothing(identity: Identity) -> None:
    owner = await new_owner(identity)
    with pytest.raises(BadInput):
        await identity.create_device(owner, UUID(owner.actor.id), "\n")
    assert await identity.list_devices(owner) == []
