"""A command reaches the node that carries the call, through the database."""

from __future__ import annotations

import asyncio

import psycopg
import pytest
from tests.unit.calls.records_made import NODE, answered, ended, opened

from sent.calls.commands import CHANNEL, DatabaseCommands, follow_commands
from sent.calls.ending import EndCode
from sent.calls.record_store import DatabaseStore
from sent.infra.db import Actor
from sent.kit.errors import NotFound
from sent.kit.ids import uuid7

pytestmark = pytest.mark.database


class Registry:
    def __init__(self):
        self.asked = asyncio.Queue()

    def hang_up(self, call_id, organization_id, ending):
        self.asked.put_nowait((call_id, organization_id, ending))
        return True


async def test_a_command_goes_to_every_node_and_into_the_audit_log(database, owner_dsn):
    organization = uuid7()
    store = DatabaseStore(database, NODE)
    live, over = opened(organization), ended(answered(opened(organization)))
    await store.write(organization, [live, over])
    registry = Registry()
    following = asyncio.create_task(follow_commands(database.server_dsn, registry))
    commands = DatabaseCommands(database, Actor("cli", "root"))
    try:
        async with asyncio.timeout(20):
            while registry.asked.empty():
                await commands.hang_up(live.id, organization, "The administrator")
                await asyncio.sleep(0.05)
            with psycopg.connect(owner_dsn, autocommit=True) as connection:
                connection.execute("SELECT pg_notify(%s, 'nonsense')", [CHANNEL])
            call_id, organization_id, ending = await registry.asked.get()
    finally:
        following.cancel()
    assert (call_id, organization_id) == (live.id, organization)
    assert (ending.code, ending.words) == (EndCode.HUNG_UP, "The administrator ended the call.")
    for call, asker in ((over.id, organization), (live.id, uuid7()), (uuid7(), organization)):
        with pytest.raises(NotFound):
            await commands.hang_up(call, asker, "Mallory")
    with psycopg.connect(owner_dsn) as connection:
        rows = connection.execute("SELECT DISTINCT actor, row_id FROM sent.audit WHERE action = 'hang_up'").fetchall()
    assert rows == [("cli:root", str(live.id))]
