"""What the server sees of its carriers, written by it and read by a command."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from uuid import UUID

import psycopg
import pytest
from tests.unit.trunks.trunk_factory import trunk

from sent.infra.db import Actor, Database
from sent.infra.vault import Vault, load_master_key
from sent.kit.ids import uuid7
from sent.testing.clock import FakeClock
from sent.trunks.directory import Account
from sent.trunks.health import HealthState, Sign, observe
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import LinkStatus
from sent.trunks.models import Trunk, TrunkMode
from sent.trunks.registration import RegistrationState, refused, succeeded
from sent.trunks.service import TrunkService
from sent.trunks.status import REPEAT_EVERY, STALE_AFTER, StatusWriter, read_status

pytestmark = pytest.mark.database

CLI = Actor("cli", "root")
NOON = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)


class Carriers:
    """The directory and the links of a server whose clocks the test turns."""

    def __init__(self, database: Database) -> None:
        self.clock = FakeClock(1_000.0)
        self.links: dict[UUID, LinkStatus] = {}
        self.known: list[Account] = []
        self.usage = TrunkUsage()
        self.writer = StatusWriter(
            database,
            SimpleNamespace(accounts=lambda: self.known),
            SimpleNamespace(status=self.links.get),
            self.usage,
            self.clock,
            lambda: NOON + timedelta(seconds=self.clock() - 1_000.0),
        )

    def add(self, one: Trunk) -> LinkStatus:
        self.known.append(Account(one, None, ()))
        status = self.links[one.id] = LinkStatus("contact")
        return status

    async def look(self, seconds: float = 1.0) -> None:
        self.clock.advance(seconds)
        await self.writer._write()


@pytest.fixture
def carriers(database: Database) -> Carriers:
    return Carriers(database)


@pytest.fixture
async def stored(database: Database, tmp_path) -> Trunk:
    one = trunk(id=uuid7(), organization_id=uuid7(), name="Nordnet")
    vault = Vault(load_master_key(tmp_path / "master.key"))
    return await TrunkService(database, vault).add(one, "s3cret", CLI)


async def test_what_is_written_is_what_is_read(database, carriers, stored):
    status = carriers.add(stored)
    status.registration = succeeded(RegistrationState(), 600, carriers.clock(), 0.5)
    status.health = observe(HealthState(), Sign.ANSWERED, "200 OK to REGISTER.", carriers.clock())
    carriers.usage.start(stored, uuid7(), carriers.clock())
    await carriers.look()
    read = (await read_status(database, stored.organization_id, CLI))[stored.id]
    assert (read.health, read.phase, read.words) == ("up", "registered", "Registered for 600 seconds.")
    assert read.health_words == "200 OK to REGISTER."
    assert read.calls_up == 1
    assert read.seen_at == NOON + timedelta(seconds=1)
    assert read.registered_until == NOON + timedelta(seconds=600)


async def test_a_trunk_by_address_has_no_registration(database, carriers, stored):
    carriers.add(replace(stored, mode=TrunkMode.ADDRESS)).health = HealthState(words="Answered OPTIONS.")
    await carriers.look()
    read = (await read_status(database, stored.organization_id, CLI))[stored.id]
    assert (read.phase, read.registered_until, read.words) == (None, None, "Answered OPTIONS.")


async def test_a_change_is_written_at_once_and_sameness_seldom(database, carriers, stored):
    status = carriers.add(stored)

    async def seen_at() -> datetime:
        return (await read_status(database, stored.organization_id, CLI))[stored.id].seen_at

    await carriers.look()
    first = await seen_at()
    for _ in range(5):
        await carriers.look()
    assert await seen_at() == first
    status.registration = refused(status.registration, 403, "Forbidden", carriers.clock(), 0.5)
    await carriers.look()
    changed = await seen_at()
    assert changed > first
    await carriers.look(REPEAT_EVERY.total_seconds())
    assert await seen_at() > changed
    assert REPEAT_EVERY * 2 < STALE_AFTER


async def test_a_trunk_without_a_link_or_that_is_gone_is_left_out(database, carriers, stored, tmp_path):
    carriers.known.append(Account(stored, None, ()))
    await carriers.look()
    assert await read_status(database, stored.organization_id, CLI) == {}
    carriers.links[stored.id] = LinkStatus("contact")
    vault = Vault(load_master_key(tmp_path / "master.key"))
    await TrunkService(database, vault).remove(stored.organization_id, stored.id, CLI)
    await carriers.look()
    assert await read_status(database, stored.organization_id, CLI) == {}


async def test_nobody_reads_another_organizations(database, carriers, stored):
    carriers.add(stored)
    await carriers.look()
    assert await read_status(database, uuid7(), CLI) == {}


async def test_seeing_is_not_audited(database, carriers, stored, owner_dsn):
    """It is written every half minute: in the audit log it would bury what people did."""
    carriers.add(stored)
    await carriers.look()
    with psycopg.connect(owner_dsn) as connection:
        row = connection.execute(
            "SELECT count(*) FROM sent.audit WHERE subject LIKE '%%trunk_status%%' AND organization_id = %s",
            [stored.organization_id],
        ).fetchone()
    assert row == (0,)
