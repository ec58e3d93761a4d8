"""Two phones on a wire, with or without trouble on it, and what must hold after every scenario."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.testing.clock import run_virtual
from sent.testing.phone import PhoneScript, WirePhone
from sent.testing.wire import Wire

ALICE = ("10.0.0.1", 5060)
BOB = ("10.0.0.2", 5060)
BOB_URI = "sip:bob@10.0.0.2"

CLEAN: dict[str, float] = {}
ROUGH: dict[str, float] = {"loss": 0.2, "duplicate": 0.1, "jitter": 0.08}

both_networks = pytest.mark.parametrize(
    ("network", "seed"), [(CLEAN, 1), *((ROUGH, seed) for seed in range(2, 8))], ids=lambda value: str(value or "clean")
)
"""Without trouble, and with 20 % loss, duplication and reordering under several seeds."""


class Pair:
    """Alice (10.0.0.1) and Bob (10.0.0.2)."""

    def __init__(
        self,
        network: dict[str, float],
        seed: int,
        script: PhoneScript | None = None,
        config: AgentConfig | None = None,
        alice_config: AgentConfig | None = None,
    ) -> None:
        self.wire = Wire(seed=seed, **network)
        self.alice = WirePhone(self.wire, "alice", ALICE[0], config=alice_config or config)
        self.bob = WirePhone(self.wire, "bob", BOB[0], script=script, config=config)

    async def settle(self, seconds: float = 70.0) -> None:
        """Longer than any transaction lives, shorter than a session timer."""
        await asyncio.sleep(seconds)

    async def close(self) -> None:
        """Every scenario ends with both agents empty: nothing may leak, however the call ended."""
        await self.settle()
        assert_empty(self.alice.agent)
        assert_empty(self.bob.agent)
        await self.alice.close()
        await self.bob.close()


def assert_empty(agent: Agent) -> None:
    assert agent.sessions == {}
    assert agent.dialogs == {}
    assert agent.layer.clients == {}
    assert agent.layer.servers == {}
    assert agent.layer._by_remote == {}
    assert agent.layer._merge == {}
    assert len(agent.timers) == 0
    assert len(agent.router) == 0


def play(scenario: Callable[[Pair], Awaitable[None]], network: dict[str, float], seed: int, **options: object) -> None:
    """Run ``scenario`` on virtual time and check that it left nothing behind."""

    async def main() -> None:
        pair = Pair(network, seed, **options)  # type: ignore[arg-type]  # checked by Pair itself
        await scenario(pair)
        await pair.close()

    run_virtual(main())
