"""The pump on the loop that the server runs on, whose handles are not those of asyncio."""

from __future__ import annotations

import asyncio
import itertools

import uvloop

from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.transport.sip_transport import SipTransport


class Overdue(Agent):
    """Asks for a time that has passed already, until it was called."""

    def __init__(self) -> None:
        tokens = itertools.count()
        super().__init__(AgentConfig(), lambda: str(next(tokens)))
        self.called_at: list[float] = []

    def next_timer(self) -> float | None:
        return None if self.called_at else 1.0

    def handle_timer(self, now: float) -> None:
        self.called_at.append(now)


def test_a_timer_that_is_overdue_is_served_once_however_often_the_pump_is_touched() -> None:
    async def run() -> list[float]:
        agent = Overdue()
        transport = SipTransport(agent)
        transport.touch()
        transport.touch()
        await asyncio.sleep(0.01)
        transport.touch()
        await transport.close()
        return agent.called_at

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        called_at = runner.run(run())
    assert len(called_at) == 1
    assert called_at[0] > 1.0
