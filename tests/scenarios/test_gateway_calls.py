"""Whole calls between two phones through the gateway and the real runner."""

from __future__ import annotations

from sent.calls.ending import EndCode
from sent.sip.events import Accepted, Confirmed, Ended, Failed, Progress
from sent.testing.phone import PhoneScript
from tests.scenarios.gateway_world import World, play


async def two_phones(world: World, script: PhoneScript | None = None):
    alice = world.phone("alice", "10.0.1.1", "101")
    bob = world.phone("bob", "10.0.1.2", "102", script=script)
    assert (await alice.register()).status == 200
    assert (await bob.register()).status == 200
    return alice, bob


def test_two_phones_register_and_talk():
    async def scenario(world: World) -> None:
        alice, bob = await two_phones(world)
        call = alice.call("102")
        await call.wait(Accepted)
        theirs = bob.calls[0]
        await theirs.wait(Confirmed)
        assert [p.status for p in call.saw(Progress)] == [180]
        assert theirs.incoming is not None
        shown = theirs.incoming.from_
        assert (shown.display, getattr(shown.uri, "user", None)) == ("Alice", "101")
        b, a = list(world.engine.legs)  # the callee is called before the caller is answered
        assert (world.engine.hears(a), world.engine.hears(b)) == (f"leg {b}", f"leg {a}")
        assert world.engine.legs[a].settings.remote == ("10.0.1.1", 20002)
        call.hang_up()
        await theirs.wait(Ended)
        await world.settle()
        record = world.record
        assert record.ending is not None
        assert (record.ending.code, record.ending.by) == (EndCode.HUNG_UP, "caller")
        assert [leg.codec for leg in record.legs] == ["PCMU", "PCMU"]
        assert record.answered_at is not None
        world.check_released()

    play(scenario)


def test_busy():
    async def scenario(world: World) -> None:
        alice, _ = await two_phones(world, PhoneScript(reject_with=486))
        failed = await alice.call("102").wait(Failed)
        assert failed.status == 486
        await world.settle()
        assert world.record.ending is not None
        assert (world.record.ending.code, world.record.ending.words) == (EndCode.BUSY, "Bob is busy.")
        world.check_released()

    play(scenario)
