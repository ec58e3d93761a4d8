"""The agent of the gateway: besides its events it tells, per flow, of connections that closed and of malformed input.

The registrar forgets phones that only a closed connection could reach, the flood guard counts who sends rubbish.
"""

from __future__ import annotations

from collections.abc import Callable

from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.sip.flow import Flow


class WatchedAgent(Agent):
    def __init__(self, config: AgentConfig, new_token: Callable[[], str]) -> None:
        super().__init__(config, new_token)
        self.on_flow_closed: Callable[[Flow], None] | None = None
        self.on_malformed: Callable[[Flow], None] | None = None

    def receive(self, data: bytes, flow: Flow, now: float) -> None:
        before = self.counters["malformed"]
        super().receive(data, flow, now)
        if self.on_malformed is not None and self.counters["malformed"] != before:
            self.on_malformed(flow)

    def flow_closed(self, flow: Flow, now: float) -> None:
        super().flow_closed(flow, now)
        if self.on_flow_closed is not None:
            self.on_flow_closed(flow)
