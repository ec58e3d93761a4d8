"""The vault over a real database, through the doors."""

import asyncio
import contextlib
from uuid import uuid4

import psycopg
import pytest

from sent.infra.db import Actor, SystemReason
from sent.infra.vault import MasterKeys, Vault, VaultError, add_master_key, load_master_key

pytestmark = pytest.mark.database

MASTER = MasterKeys((b"m" * 32,), "test")
WHO = Actor("cli", "test")


@pytest.fixture
def vault():
    return Vault(MASTER)


async def sealed_in(database, vault, organization, value=b"hunter2", context="device.secret:1"):
    async with database.transaction(organization, WHO) as conn:
        return await vault.seal(conn, organization, context, value)


async def opened_in(database, vault, organization, sealed, context="device.secret:1"):
    async with database.transaction(organization, WHO) as conn:
        return await vault.open(conn, organization, context, sealed)


def keys_of(owner_dsn, organization):
    with psycopg.connect(owner_dsn) as conn:
        conn.execute("SELECT set_config('sent.reason', 'migrate', true)")
        return conn.execute(
            "SELECT id, retired_at IS NULL, sealed_key FROM sent.organization_keys"
            " WHERE organization_id = %s ORDER BY id",
            (organization,),
        ).fetchall()


async def test_what_was_sealed_opens_also_after_a_restart(database, vault):
    organization = uuid4()
    sealed = await sealed_in(database, vault, organization)
    assert b"hunter2" not in sealed
    assert await opened_in(database, vault, organization, sealed) == b"hunter2"
    assert await opened_in(database, Vault(MASTER), organization, sealed) == b"hunter2"


async def test_a_resolver_opens_before_an_organization_is_known(database, vault):
    organization = uuid4()
    sealed = await sealed_in(database, vault, organization)
    async with database.resolver() as conn:
        assert await Vault(MASTER).open(conn, organization, "device.secret:1", sealed) == b"hunter2"


async def test_it_opens_neither_in_another_context_nor_for_another_organization(database, vault):
    organization, other = uuid4(), uuid4()
    sealed = await sealed_in(database, vault, organization)
    await sealed_in(database, vault, other)
    for whose, context in ((organization, "device.secret:2"), (other, "device.secret:1")):
        with pytest.raises(VaultError) as caught:
            await opened_in(database, vault, whose, sealed, context)
        assert caught.value.code == "vault.cannot_open"


async def test_a_door_of_one_organization_does_not_read_anothers_key(database, vault):
    organization, other = uuid4(), uuid4()
    sealed = await sealed_in(database, vault, organization)
    async with database.transaction(other, WHO) as conn:
        with pytest.raises(VaultError, match="not in the database"):
            await Vault(MASTER).open(conn, organization, "device.secret:1", sealed)


async def test_two_first_uses_at_once_make_one_key(database, owner_dsn, vault):
    organization = uuid4()
    values = await asyncio.gather(*(sealed_in(database, Vault(MASTER), organization, b"%d" % n) for n in range(4)))
    assert len(keys_of(owner_dsn, organization)) == 1
    assert [await opened_in(database, vault, organization, v) for v in values] == [b"0", b"1", b"2", b"3"]


async def test_the_second_waits_for_the_first_and_takes_over_when_that_rolls_back(database, owner_dsn, vault):
    organization = uuid4()
    first_has_key, let_go = asyncio.Event(), asyncio.Event()

    async def fails():
        async with database.transaction(organization, WHO) as conn:
            await vault.seal(conn, organization, "c", b"lost")
            first_has_key.set()
            await let_go.wait()
            raise LookupError

    first = asyncio.create_task(fails())
    await first_has_key.wait()
    second = asyncio.create_task(sealed_in(database, vault, organization))
    await asyncio.sleep(0.05)
    assert not second.done()
    let_go.set()
    with pytest.raises(LookupError):
        await first
    assert await opened_in(database, Vault(MASTER), organization, await second) == b"hunter2"
    assert len(keys_of(owner_dsn, organization)) == 1


async def test_a_key_that_was_rolled_back_is_not_used_again(database, vault):
    organization = uuid4()
    with contextlib.suppress(LookupError):
        async with database.transaction(organization, WHO) as conn:
            await vault.seal(conn, organization, "c", b"1")
            async with conn.transaction():
                await vault.seal(conn, organization, "c", b"2")
            raise LookupError
    sealed = await sealed_in(database, vault, organization)
    assert await opened_in(database, Vault(MASTER), organization, sealed) == b"hunter2"


async def test_after_a_rotation_new_values_have_a_new_key_and_old_ones_open(database, owner_dsn, vault):
    organization = uuid4()
    old = await sealed_in(database, vault, organization, b"old")
    async with database.transaction(organization, WHO) as conn:
        new_id = await vault.rotate(conn, organization)
    new = await sealed_in(database, vault, organization, b"new")
    assert (old[1:17] == new_id.bytes, new[1:17] == new_id.bytes) == (False, True)
    for one in (vault, Vault(MASTER)):
        assert await opened_in(database, one, organization, old) == b"old"
        assert await opened_in(database, one, organization, new) == b"new"
    assert [active for _, active, _ in keys_of(owner_dsn, organization)].count(True) == 1


async def test_two_rotations_at_once(database, owner_dsn, vault):
    organization = uuid4()
    await sealed_in(database, vault, organization)

    async def rotate():
        async with database.transaction(organization, WHO) as conn:
            await vault.rotate(conn, organization)

    await asyncio.gather(rotate(), rotate())
    assert [active for _, active, _ in keys_of(owner_dsn, organization)].count(True) == 1


async def test_the_master_key_is_rotated_and_the_old_one_can_go(database, owner_dsn, tmp_path):
    path, organization = tmp_path / "master.key", uuid4()
    sealed = await sealed_in(database, Vault(load_master_key(path, {})), organization)
    both = add_master_key(path)
    async with database.system(SystemReason.ROTATE_KEYS) as conn:
        # keys of the other tests' master cannot be opened here
        await conn.execute("DELETE FROM organization_keys WHERE organization_id <> %s", (organization,))
        assert await Vault(both).rotate_master(conn) == 1
        assert await Vault(both).rotate_master(conn) == 0
    lines = path.read_text().splitlines()
    path.write_text("\n".join(lines[:2]) + "\n")
    assert await opened_in(database, Vault(load_master_key(path, {})), organization, sealed) == b"hunter2"


async def test_without_the_right_master_key_it_says_which_file(database, vault):
    organization = uuid4()
    sealed = await sealed_in(database, vault, organization)
    with pytest.raises(VaultError, match="another\\.key") as caught:
        await opened_in(database, Vault(MasterKeys((b"x" * 32,), "another.key")), organization, sealed)
    assert caught.value.code == "vault.master_key_missing"


async def test_another_master_key_is_refused_at_the_start_before_anything_is_sealed(database, owner_dsn, vault):
    organization = uuid4()
    await sealed_in(database, vault, organization)
    async with database.system(SystemReason.DIAGNOSE) as conn:
        # keys of the other tests' masters
        await conn.execute("DELETE FROM organization_keys WHERE organization_id <> %s", (organization,))
        await vault.check_master(conn)
        await Vault(MasterKeys((b"n" * 32, b"m" * 32), "both.key")).check_master(conn)
        with pytest.raises(VaultError, match=r"lost\.key is not the one") as caught:
            await Vault(MasterKeys((b"n" * 32,), "lost.key")).check_master(conn)
    assert caught.value.code == "vault.master_key_missing"


async def test_an_empty_database_takes_any_master_key(database):
    async with database.system(SystemReason.DIAGNOSE) as conn:
        await conn.execute("DELETE FROM organization_keys")
        await Vault(MasterKeys((b"n" * 32,), "new.key")).check_master(conn)


async def test_a_value_moved_to_another_row_or_cut_or_flipped_does_not_open(database, vault):
    organization = uuid4()
    sealed = await sealed_in(database, vault, organization)
    assert sealed != await sealed_in(database, vault, organization), "a nonce was used twice"
    for damaged in (sealed[:-1], sealed[:29], sealed[:-1] + bytes([sealed[-1] ^ 1]), b"", b"\x02" + sealed[1:]):
        with pytest.raises(VaultError):
            await opened_in(database, vault, organization, damaged)


async def test_no_key_is_in_the_audit_log(database, owner_dsn, vault):
    organization = uuid4()
    await sealed_in(database, vault, organization)
    ((_, _, wrapped),) = keys_of(owner_dsn, organization)
    async with database.transaction(organization, WHO) as conn:
        rows = await (
            await conn.execute("SELECT delta::text FROM audit WHERE subject = 'organization_keys'")
        ).fetchall()
    assert len(rows) == 1
    assert bytes(wrapped).hex() not in rows[0][0]
