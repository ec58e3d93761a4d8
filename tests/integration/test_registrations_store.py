"""Bindings written behind and loaded again, against a migrated database."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from sent.infra.db import Database
from sent.registrations.bindings import Bindings, ContactWish, Owner, Registration
from sent.registrations.repository import BindingRepository
from sent.registrations.service import Registrations
from sent.sip.flow import Flow

pytestmark = pytest.mark.database

ALICE = Owner(UUID(int=1), UUID(int=2), UUID(int=3))
BOB = Owner(UUID(int=9), UUID(int=5), UUID(int=6))
UDP = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 40000))
TCP = Flow("TCP", ("192.0.2.1", 5060), ("198.51.100.8", 40001), 3)


class Node:
    """One life of the process: its monotonic clock starts anywhere, the time of day goes on."""

    def __init__(self, database: Database, wall: datetime, clock: float) -> None:
        self.wall, self.clock = wall, clock
        store = BindingRepository(database)
        same = lambda a, b: a == b  # noqa: E731
        self.registrations = Registrations(Bindings(same), store, lambda: self.clock, lambda: self.wall)


def wish(owner: Owner, flow: Flow, contact: ContactWish, cseq: int = 1) -> Registration:
    path = ("<sip:edge.example;lr>",)
    return Registration(owner, "r1", cseq, flow, (contact,), path=path, user_agent="Phone/1")


async def test_phones_stay_reachable_over_a_restart(database: Database):
    start = datetime.now(UTC)
    before = Node(database, start, 1_000.0)
    before.registrations.register(wish(ALICE, UDP, ContactWish("sip:a@10.0.0.1", 600, 0.5, "<urn:uuid:1>", 1)))
    before.registrations.register(wish(BOB, TCP, ContactWish("sip:b@198.51.100.8:5070", 60)))
    await before.registrations.flush()

    after = Node(database, start + timedelta(seconds=100), 7.0)
    assert await after.registrations.load() == 1
    assert after.registrations.of_user(BOB.user_id) == []
    (alice,) = after.registrations.of_user(ALICE.user_id)
    expected = before.registrations.of_user(ALICE.user_id)[0]
    assert alice.expires_at == pytest.approx(507.0, abs=0.1)
    assert replace(alice, expires_at=0, refreshed_at=0) == replace(expected, expires_at=0, refreshed_at=0)


async def test_what_was_removed_is_gone_after_a_restart_and_a_tcp_phone_has_no_flow(database: Database):
    start = datetime.now(UTC)
    node = Node(database, start, 0.0)
    node.registrations.register(wish(ALICE, UDP, ContactWish("sip:a@10.0.0.1"), cseq=1))
    node.registrations.register(wish(BOB, TCP, ContactWish("sip:b@198.51.100.8:5070")))
    await node.registrations.flush()
    node.registrations.register(wish(ALICE, UDP, ContactWish("sip:a@10.0.0.1", 0), cseq=2))
    await node.registrations.flush()

    after = Node(database, start, 50.0)
    await after.registrations.load()
    assert after.registrations.of_user(ALICE.user_id) == []
    (bob,) = after.registrations.of_user(BOB.user_id)
    assert (bob.flow, bob.source) == (None, TCP.remote)
