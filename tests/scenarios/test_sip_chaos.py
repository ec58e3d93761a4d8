"""Two phones do anything at any time on a bad network: no error, one last event for each, nothing left behind."""

from __future__ import annotations

import asyncio
from random import Random

import pytest

from sent.sip.config import AgentConfig
from sent.testing.clock import run_virtual
from sent.testing.phone import LAST_EVENTS, Call, PhoneScript
from tests.scenarios.sip_support import BOB_URI, Pair, assert_empty


async def fiddle(call: Call, dice: Random, actions: int) -> None:
    for _ in range(actions):
        await asyncio.sleep(dice.choice([0.0, 0.01, 0.1, 0.5, 3.0]))
        if call.last is not None:
            return
        match dice.randrange(12):
            case 0 | 1:
                call.hold()
            case 2:
                call.unhold()
            case 3:
                call.ask_for_offer()
            case 4:
                call.update("recvonly")
            case 5:
                call.info("application/dtmf-relay", b"Signal=1\r\n")
            case 6:
                call.phone.script.answer_offers = not call.phone.script.answer_offers
            case 7 if call.incoming is not None:
                call.answer()
            case 8 if dice.random() < 0.3:
                call.hang_up()
            case _:
                await asyncio.sleep(dice.random() * 5)


@pytest.mark.parametrize("seed", range(60))
def test_anything_at_any_time(seed: int) -> None:
    async def main() -> None:
        dice = Random(seed)
        config = AgentConfig(methods=frozenset(), session_expires=90, ring_limit=60)
        network = {"loss": dice.choice([0.0, 0.1, 0.3, 0.6]), "duplicate": 0.2, "jitter": dice.choice([0.0, 0.05, 0.8])}
        pair = Pair(network, seed, PhoneScript(answer_after=None, reliable=dice.random() < 0.5), config)
        failures: list[dict[str, object]] = []
        asyncio.get_running_loop().set_exception_handler(lambda _, context: failures.append(context))
        work = []
        for _ in range(4):
            call = pair.alice.call(BOB_URI, late_offer=dice.random() < 0.4)
            work.append(asyncio.create_task(fiddle(call, dice, 12)))
            await asyncio.sleep(dice.random() * 3)
            if len(pair.bob.calls) > len(work) - 1:
                work.append(asyncio.create_task(fiddle(pair.bob.calls[-1], dice, 12)))
        await asyncio.gather(*work)
        if seed % 5 == 0:
            pair.bob.vanish()
        for call in pair.alice.calls:
            call.hang_up()
        await asyncio.sleep(250)
        assert failures == []
        for call in (*pair.alice.calls, *pair.bob.calls):
            assert sum(isinstance(event, LAST_EVENTS) for event in call.events) == 1
            assert isinstance(call.events[-1], LAST_EVENTS)
        assert_empty(pair.alice.agent)
        assert_empty(pair.bob.agent)

    run_virtual(main())
