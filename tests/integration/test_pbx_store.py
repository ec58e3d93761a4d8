"""Extensions and settings in a real database, and that a change reaches the routing cache."""

from __future__ import annotations

import asyncio
import time
from pathlib import Path

import pytest

from sent.infra.db import Actor
from sent.kit.errors import BadInput, NotFound
from sent.kit.ids import uuid7
from sent.pbx.models import Extension, ExtensionKind, PbxSettings, RoutingSnapshot
from sent.pbx.service import PbxService
from sent.pbx.store import PbxStore

pytestmark = pytest.mark.database
CLI = Actor("cli", "root")


@pytest.fixture
def organization():
    return uuid7()


@pytest.fixture
def store(database):
    return PbxStore(database)


async def test_extensions_come_back_and_a_number_can_be_given_to_something_else(store, organization):
    assert await store.load(organization, CLI) == RoutingSnapshot({}, PbxSettings())
    bob = uuid7()
    made = await store.put_extension(organization, CLI, "102", ExtensionKind.USER, name="Bob", user_id=bob)
    echo = await store.put_extension(organization, CLI, "600", ExtensionKind.ECHO)
    hello = await store.put_extension(organization, CLI, "601", ExtensionKind.ANNOUNCEMENT, announcement="welcome")
    routing = await store.load(organization, CLI)
    assert routing.extensions == {"102": made, "600": echo, "601": hello}
    assert made == Extension(made.id, "102", ExtensionKind.USER, "Bob", bob)
    again = await store.put_extension(organization, CLI, "102", ExtensionKind.ECHO)
    assert (again.id, again.user_id) == (made.id, None)
    await store.delete_extension(organization, CLI, "102")
    assert set((await store.load(organization, CLI)).extensions) == {"600", "601"}
    with pytest.raises(NotFound):
        await store.delete_extension(organization, CLI, "102")


async def test_settings(store, organization):
    await store.put_settings(organization, CLI, PbxSettings(record_internal=True))
    await store.put_settings(organization, CLI, PbxSettings(record_outside=True))
    assert (await store.load(organization, CLI)).settings == PbxSettings(False, True)


async def test_another_organization_has_its_own_numbers(store, organization):
    await store.put_extension(organization, CLI, "101", ExtensionKind.ECHO)
    other = uuid7()
    theirs = await store.put_extension(other, CLI, "101", ExtensionKind.USER, user_id=uuid7())
    assert (await store.load(other, CLI)).extensions == {"101": theirs}
    assert (await store.load(organization, CLI)).extensions["101"].kind is ExtensionKind.ECHO


@pytest.mark.parametrize(
    ("number", "kind", "more"),
    [
        ("", ExtensionKind.ECHO, {}),
        ("12a", ExtensionKind.ECHO, {}),
        ("1" * 16, ExtensionKind.ECHO, {}),
        ("101", ExtensionKind.USER, {}),
        ("101", ExtensionKind.ECHO, {"user_id": uuid7()}),
        ("101", ExtensionKind.ANNOUNCEMENT, {}),
        ("101", ExtensionKind.ECHO, {"announcement": "welcome"}),
    ],
)
async def test_bad_input_changes_nothing(store, organization, number, kind, more):
    with pytest.raises(BadInput):
        await store.put_extension(organization, CLI, number, kind, **more)
    assert (await store.load(organization, CLI)).extensions == {}


async def test_a_change_reaches_the_cache_by_notify(database, store, organization):
    service = PbxService(store, {"welcome": Path("welcome.wav")}, time.monotonic, ttl=3_600)
    listening = asyncio.create_task(service.run(database.server_dsn))
    try:
        async with asyncio.timeout(20):
            assert "600" not in (await service.routing(organization)).extensions
            await store.put_extension(organization, CLI, "600", ExtensionKind.ECHO)
            while "600" not in (await service.routing(organization)).extensions:  # noqa: ASYNC110 (it comes by NOTIFY)
                await asyncio.sleep(0.02)
            await store.put_settings(organization, CLI, PbxSettings(record_internal=True))
            while not (await service.routing(organization)).settings.record_internal:  # noqa: ASYNC110 (as above)
                await asyncio.sleep(0.02)
    finally:
        listening.cancel()
