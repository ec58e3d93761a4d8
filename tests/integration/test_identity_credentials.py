"""What the registrar asks: kept copies, changes that are heard of at once, and a database that is away."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from uuid import UUID

import psycopg
import pytest
from tests.integration.test_identity import new_owner

from sent.identity.credentials import DeviceCredentials
from sent.identity.device_secrets import ha1
from sent.identity.models import DigestAlgorithm, NewSecret, Principal
from sent.identity.roles import Role
from sent.identity.service import Identity
from sent.infra.db import Actor, Connection, Database
from sent.infra.vault import Vault, load_master_key
from sent.kit.errors import Unavailable

pytestmark = pytest.mark.database


class CountingSealer(Vault):
    opened = 0

    async def open(self, conn: Connection, organization_id: UUID, context: str, sealed: bytes) -> bytes:
        self.opened += 1
        return await super().open(conn, organization_id, context, sealed)


class Clock:
    time = 1000.0

    def __call__(self) -> float:
        return self.time


@pytest.fixture
def sealer(tmp_path: Path) -> CountingSealer:
    return CountingSealer(load_master_key(tmp_path / "master.key"))


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def identity(database: Database, sealer: CountingSealer) -> Identity:
    return Identity(database, sealer)


@pytest.fixture
def credentials(database: Database, sealer: CountingSealer, clock: Clock) -> DeviceCredentials:
    return DeviceCredentials(database, sealer, "sent", now=clock)


@pytest.fixture
async def owner(identity: Identity) -> Principal:
    return await new_owner(identity)


@pytest.fixture
async def phone(identity: Identity, owner: Principal) -> NewSecret:
    return await identity.create_device(owner, UUID(owner.actor.id), "Desk")


@pytest.fixture
async def listening(credentials: DeviceCredentials, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[asyncio.Event]:
    """Set each time that listening begins."""
    began = asyncio.Event()
    forget_all = credentials.forget_all

    def heard() -> None:
        forget_all()
        began.set()

    monkeypatch.setattr(credentials, "forget_all", heard)
    task = asyncio.create_task(credentials.run())
    async with asyncio.timeout(5):
        await began.wait()
    yield began
    task.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await task


async def eventually(check: Callable[[], Awaitable[bool]]) -> None:
    """Notifications of the real server take real time, and nothing here says when one was worked off."""
    async with asyncio.timeout(2):
        while not await check():  # noqa: ASYNC110  # there is no event to wait for
            await asyncio.sleep(0.005)


def take_away(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    @contextlib.asynccontextmanager
    async def gone(_self: Database) -> AsyncIterator[Connection]:
        raise Unavailable("db.unavailable", "gone")
        yield

    monkeypatch.setattr(type(database), "resolver", gone)


async def test_a_device_is_known_with_both_hashes(
    credentials: DeviceCredentials, phone: NewSecret, owner: Principal
) -> None:
    found = await credentials.find(phone.device.sip_username)
    assert found is not None
    assert (found.organization_id, found.user_id) == (owner.organization_id, UUID(owner.actor.id))
    assert (found.device_id, found.device_name, found.user_name) == (phone.device.id, "Desk", "Olga")
    assert (found.algorithm, found.disabled) == (DigestAlgorithm.MD5, False)
    for algorithm in DigestAlgorithm:
        assert found.ha1[algorithm] == ha1(algorithm, phone.device.sip_username, "sent", phone.secret)
        assert found.ha1[algorithm] not in repr(found)


async def test_asked_often_looked_up_once(
    credentials: DeviceCredentials, phone: NewSecret, sealer: CountingSealer, clock: Clock
) -> None:
    name = phone.device.sip_username
    answers = await asyncio.gather(*(credentials.find(name) for _ in range(20)))
    assert len(set(map(id, answers))) == 1
    await credentials.find(name)
    assert sealer.opened == 1
    clock.time += 61
    await credentials.find(name)
    assert sealer.opened == 2


async def test_unknown_names_are_remembered_for_a_short_while(
    credentials: DeviceCredentials, database: Database, monkeypatch: pytest.MonkeyPatch, clock: Clock
) -> None:
    assert await credentials.find("aaaaaaaaaaaa") is None
    take_away(database, monkeypatch)
    assert await credentials.find("aaaaaaaaaaaa") is None
    assert await credentials.find("101") is None  # not the shape of one: never asked
    clock.time += 6
    with pytest.raises(Unavailable):
        await credentials.find("aaaaaaaaaaaa")


async def test_guesses_do_not_push_out_phones(
    database: Database, sealer: CountingSealer, clock: Clock, phone: NewSecret
) -> None:
    credentials = DeviceCredentials(database, sealer, "sent", capacity=3, now=clock)
    await credentials.find(phone.device.sip_username)
    for letter in "bcdefg":
        await credentials.find(letter * 12)
    await credentials.find(phone.device.sip_username)
    assert sealer.opened == 1
    assert len(credentials._unknown) == 3


@pytest.mark.usefixtures("listening")
async def test_a_change_is_heard_of_at_once(
    identity: Identity, credentials: DeviceCredentials, phone: NewSecret, owner: Principal
) -> None:
    name = phone.device.sip_username
    first = await credentials.find(name)
    assert first is not None
    again = await identity.reset_device_secret(owner, phone.device.id)

    async def changed() -> bool:
        return await credentials.find(name) != first

    await eventually(changed)
    found = await credentials.find(name)
    assert found is not None
    assert found.ha1[DigestAlgorithm.MD5] == ha1(DigestAlgorithm.MD5, name, "sent", again.secret)


@pytest.mark.usefixtures("listening")
async def test_disabling_a_user_disables_all_of_their_devices(
    identity: Identity, credentials: DeviceCredentials, owner: Principal
) -> None:
    user = await identity.create_user(owner, "Mia", None, Role.MEMBER)
    phones = [await identity.create_device(owner, user.id, f"Phone {n}") for n in range(2)]
    names = [phone.device.sip_username for phone in phones]
    assert [found.disabled for name in names if (found := await credentials.find(name))] == [False, False]
    await identity.disable_user(owner, user.id)

    async def both_disabled() -> bool:
        return [found.disabled for name in names if (found := await credentials.find(name))] == [True, True]

    await eventually(both_disabled)


@pytest.mark.usefixtures("listening")
async def test_a_device_made_after_it_was_asked_for_is_found(
    identity: Identity, credentials: DeviceCredentials, owner: Principal, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sent.identity.service.new_sip_username", lambda: "hhhhhhhhhhhh")
    assert await credentials.find("hhhhhhhhhhhh") is None
    await identity.create_device(owner, UUID(owner.actor.id), "New")

    async def known() -> bool:
        return await credentials.find("hhhhhhhhhhhh") is not None

    await eventually(known)


async def test_known_phones_go_on_while_the_database_is_away(
    credentials: DeviceCredentials,
    phone: NewSecret,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    name = phone.device.sip_username
    kept = await credentials.find(name)
    take_away(database, monkeypatch)
    clock.time += 3600
    assert await credentials.find(name) is kept
    credentials.forget_all()
    assert await credentials.find(name) is kept
    with pytest.raises(Unavailable):
        await credentials.find("zzzzzzzzzzzz")


async def test_a_slow_database_delays_a_known_phone_little(
    credentials: DeviceCredentials,
    phone: NewSecret,
    database: Database,
    monkeypatch: pytest.MonkeyPatch,
    clock: Clock,
) -> None:
    kept = await credentials.find(phone.device.sip_username)
    monkeypatch.setattr("sent.identity.credentials._REFRESH_PATIENCE_S", 0.02)
    resolver = database.resolver
    release = asyncio.Event()

    @contextlib.asynccontextmanager
    async def slow(_self: Database) -> AsyncIterator[Connection]:
        await release.wait()
        async with resolver() as connection:
            yield connection

    monkeypatch.setattr(type(database), "resolver", slow)
    clock.time += 61
    assert await credentials.find(phone.device.sip_username) is kept
    release.set()
    await asyncio.gather(*credentials._lookups.values())


async def test_listening_begins_again_after_the_connection_was_cut(listening: asyncio.Event, owner_dsn: str) -> None:
    def cut() -> None:
        with psycopg.connect(owner_dsn, autocommit=True) as owner:
            row = owner.execute("SELECT role_name FROM sent.server_login").fetchone()
            assert row is not None
            owner.execute(f'GRANT "{row[0]}" TO CURRENT_USER')
            owner.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name LIKE 'sent listen%'"
            )

    listening.clear()
    await asyncio.to_thread(cut)
    async with asyncio.timeout(5):
        await listening.wait()


def test_a_principal_of_the_command_line_is_an_owner() -> None:
    principal = Principal.of_command_line(UUID(int=1), "root")
    assert (principal.actor, principal.role) == (Actor("cli", "root"), Role.OWNER)
