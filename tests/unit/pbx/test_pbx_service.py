from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from sent.calls.party import Party, PartyKind
from sent.calls.ports import CallRequest
from sent.kit.errors import Unavailable
from sent.pbx.models import Extension, ExtensionKind, RoutingSnapshot
from sent.pbx.service import MAX_CACHED, PbxService

ORGANIZATION = UUID(int=1)
ALICE = Party(PartyKind.USER, "101", "Alice", user_id=UUID(int=1))


class Source:
    def __init__(self):
        self.loads = 0
        self.gone = False
        self.extensions = {"600": Extension(UUID(int=2), "600", ExtensionKind.ECHO)}
        self.gate = asyncio.Event()
        self.gate.set()

    async def load(self, organization_id, actor):
        self.loads += 1
        snapshot = RoutingSnapshot(dict(self.extensions))
        await self.gate.wait()
        if self.gone:
            raise Unavailable("db.unavailable", "Gone.")
        return snapshot


class Clock:
    now = 0.0

    def __call__(self):
        return self.now


@pytest.fixture
def source():
    return Source()


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture
def service(source, clock):
    return PbxService(source, {}, clock, ttl=60)


async def test_a_plan_over_the_cached_routing(service, source):
    request = CallRequest(ORGANIZATION, ALICE, "600", leg=None)
    assert (await service.plan(request)).callee.number == "600"
    assert await service.plan(CallRequest(ORGANIZATION, ALICE, "999", leg=None)) is None
    assert source.loads == 1


async def test_it_is_loaded_again_after_its_time_and_after_a_change(service, source, clock):
    await service.routing(ORGANIZATION)
    clock.now = 59
    await service.routing(ORGANIZATION)
    assert source.loads == 1
    clock.now = 61
    await service.routing(ORGANIZATION)
    assert source.loads == 2
    source.extensions.clear()
    service.invalidate(UUID(int=99))
    assert (await service.routing(ORGANIZATION)).extensions
    service.invalidate(ORGANIZATION)
    assert not (await service.routing(ORGANIZATION)).extensions
    assert source.loads == 3


async def test_a_database_that_is_gone_leaves_the_last_known_routing(service, source, clock):
    await service.routing(ORGANIZATION)
    source.gone = True
    service.invalidate()
    clock.now = 1_000
    assert "600" in (await service.routing(ORGANIZATION)).extensions
    loads = source.loads
    await service.routing(ORGANIZATION)
    assert source.loads == loads, "it is not asked again for every call"
    source.gone = False
    clock.now += 10
    await service.routing(ORGANIZATION)
    assert source.loads == loads + 1


async def test_an_organization_never_seen_cannot_be_routed_without_the_database(service, source):
    source.gone = True
    with pytest.raises(Unavailable):
        await service.routing(ORGANIZATION)


async def test_calls_that_come_together_load_once_and_one_that_gives_up_does_not_hurt_the_others(service, source):
    source.gate.clear()
    tasks = [asyncio.create_task(service.routing(ORGANIZATION)) for _ in range(20)]
    await asyncio.sleep(0)
    tasks[0].cancel()
    await asyncio.sleep(0)
    source.gate.set()
    done = await asyncio.gather(*tasks, return_exceptions=True)
    assert isinstance(done[0], asyncio.CancelledError)
    assert all("600" in snapshot.extensions for snapshot in done[1:])
    assert source.loads == 1


async def test_what_changed_while_it_was_loaded_is_loaded_again(service, source):
    source.gate.clear()
    first = asyncio.create_task(service.routing(ORGANIZATION))
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    assert source.loads == 1
    source.extensions["601"] = Extension(UUID(int=3), "601", ExtensionKind.ECHO)
    service.invalidate(ORGANIZATION)
    source.gate.set()
    assert "601" not in (await first).extensions
    assert "601" in (await service.routing(ORGANIZATION)).extensions


async def test_the_cache_is_bounded(service, source):
    for n in range(MAX_CACHED + 5):
        await service.routing(UUID(int=n))
    assert len(service._cache) == MAX_CACHED
