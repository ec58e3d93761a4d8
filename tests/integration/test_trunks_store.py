"""Trunks stored by one process and read by another, against a migrated database."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from sent.infra.db import Actor, Database, SystemReason
from sent.infra.vault import Vault, load_master_key
from sent.kit.errors import BadInput, Conflict, NotFound
from sent.trunks.directory import DatabaseAccounts, TrunkDirectory
from sent.trunks.models import CallerIdHeader, SrtpPolicy, Trunk, TrunkLimits, TrunkMode
from sent.trunks.service import TrunkService

pytestmark = pytest.mark.database

CLI = Actor("cli", "root")
NORDNET = Trunk(
    id=UUID(int=100),
    organization_id=UUID(int=1),
    name="Nordnet",
    mode=TrunkMode.REGISTER,
    domain="sip.nordnet.example",
    transport="TLS",
    proxy="edge.nordnet.example:5081",
    username="4930555",
    auth_username="auth-4930555",
    country="DE",
    caller_id="+493023125000",
    caller_id_header=CallerIdHeader.ASSERTED,
    sources=("192.0.2.0/24",),
    srtp=SrtpPolicy.OFFERED,
    priority=3,
    outside_prefix="0",
    limits=TrunkLimits(3, 4, 5, ("GB", "FR"), premium=True),
)


@pytest.fixture(scope="module")
def master_key(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("vault") / "master.key"


@pytest.fixture
def vault(master_key: Path) -> Vault:
    return Vault(load_master_key(master_key))


async def test_a_trunk_comes_back_as_it_was_with_its_password_and_numbers(database: Database, vault: Vault):
    service = TrunkService(database, vault)
    await service.add(NORDNET, "5ecret", CLI)
    await service.add_number(NORDNET, "030 23125-001", "101", CLI)
    changes = []
    directory = TrunkDirectory(DatabaseAccounts(database, vault))
    directory.listen(lambda: changes.append(1))
    await directory.refresh()
    await directory.refresh()
    (account,) = directory.accounts()
    assert account.trunk == NORDNET
    assert account.password == "5ecret"
    assert "5ecret" not in repr(account)
    assert changes == [1]

    inbound = directory.inbound(directory.calling_from("192.0.2.77"), ["4930555", "493023125001"])
    assert inbound is not None
    assert inbound.number is not None
    assert inbound.number.extension == "101"
    assert directory.calling_from("198.51.100.1") == []

    with pytest.raises(Conflict):
        await service.add(replace(NORDNET, id=UUID(int=101)), "x", CLI)
    await service.set_limits(NORDNET.organization_id, NORDNET.id, TrunkLimits(), CLI)
    await service.set_enabled(NORDNET.organization_id, NORDNET.id, False, CLI)
    (stored,) = await service.trunks(NORDNET.organization_id, CLI)
    assert stored == replace(NORDNET, limits=TrunkLimits(), enabled=False)


async def test_another_organization_neither_sees_nor_changes_it(database: Database, vault: Vault):
    service = TrunkService(database, vault)
    other = UUID(int=2)
    trunk = replace(NORDNET, id=UUID(int=200), name="Second")
    await service.add(trunk, "x", CLI)
    assert await service.trunks(other, CLI) == []
    with pytest.raises(NotFound):
        await service.remove(other, trunk.id, CLI)
    await service.remove(trunk.organization_id, trunk.id, CLI)


async def test_no_password_stands_in_the_database_or_its_audit_log(database: Database, vault: Vault):
    service = TrunkService(database, vault)
    await service.add(replace(NORDNET, id=UUID(int=300), name="Third"), "hunter2-hunter2", CLI)
    async with database.system(SystemReason.DIAGNOSE) as connection:
        for query in ("SELECT t::text FROM trunks t", "SELECT a::text FROM audit a WHERE subject = 'trunks'"):
            rows = await (await connection.execute(query)).fetchall()
            assert rows
            assert not any("hunter2" in row[0] or b"hunter2".hex() in row[0] for row in rows)


@pytest.mark.parametrize(
    ("changes", "password", "code"),
    [
        ({"name": " "}, "x", "trunk.no_name"),
        ({"domain": ""}, "x", "trunk.no_domain"),
        ({}, None, "trunk.no_credentials"),
        ({"mode": TrunkMode.ADDRESS, "sources": ()}, None, "trunk.no_sources"),
        ({"sources": ("carrier.example",)}, "x", "trunk.bad_source"),
        ({"sources": ("0.0.0.0/0",)}, "x", "trunk.wide_source"),
        ({"sources": ("::/0",)}, "x", "trunk.wide_source"),
    ],
)
async def test_what_a_trunk_must_have(database: Database, vault: Vault, changes, password, code):
    with pytest.raises(BadInput) as refused:
        await TrunkService(database, vault).add(replace(NORDNET, id=UUID(int=400), **changes), password, CLI)
    assert refused.value.code == code
