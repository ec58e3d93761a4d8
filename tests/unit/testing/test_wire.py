"""The wire itself: what it loses, repeats and reorders, repeatably."""

from __future__ import annotations

import asyncio

import pytest

from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.sip.uri import SipUri
from sent.testing.clock import run_virtual
from sent.testing.wire import Packet, Wire, WirePort
from sent.transport.resolver import ResolveError


def attach(wire: Wire, host: str, heard: list[bytes]) -> WirePort:
    port = wire.attach(Agent(AgentConfig(), wire.token), host)
    port.received = lambda data, _: heard.append(data)  # type: ignore[method-assign]  # the wire alone is tested
    return port


def carry(count: int, **network: float) -> list[int]:
    """Which of ``count`` numbered datagrams arrived, in the order of arrival."""

    async def main() -> list[int]:
        wire = Wire(**network)  # type: ignore[arg-type]
        heard: list[bytes] = []
        attach(wire, "10.0.0.2", heard)
        for number in range(count):
            wire.carry(("10.0.0.1", 5060), ("10.0.0.2", 5060), str(number).encode())
            await asyncio.sleep(0.001)
        await asyncio.sleep(10)
        return [int(data) for data in heard]

    return run_virtual(main())


def test_a_clean_wire_keeps_all_and_the_order() -> None:
    assert carry(100) == list(range(100))


def test_loss_is_what_was_asked_for_and_repeatable() -> None:
    first = carry(2_000, seed=5, loss=0.2)
    assert 1_500 < len(first) < 1_700
    assert first == carry(2_000, seed=5, loss=0.2)
    assert first != carry(2_000, seed=6, loss=0.2)


def test_duplicates() -> None:
    assert 2_150 < len(carry(2_000, seed=5, duplicate=0.1)) < 2_250


def test_jitter_reorders() -> None:
    arrived = carry(200, seed=5, jitter=0.05)
    assert sorted(arrived) == list(range(200))
    assert arrived != list(range(200))


def test_chosen_packets_are_lost_and_logged() -> None:
    async def main() -> tuple[list[bytes], list[str], list[str]]:
        wire = Wire()
        heard: list[bytes] = []
        attach(wire, "10.0.0.2", heard)

        def lose(packet: Packet) -> bool:
            return packet.start_line.startswith("BYE")

        wire.lose = lose
        for line in (b"BYE x", b"ACK x"):
            wire.carry(("10.0.0.1", 5060), ("10.0.0.2", 5060), line)
        await asyncio.sleep(1)
        return heard, wire.start_lines(), wire.start_lines(lost=True)

    assert run_virtual(main()) == ([b"ACK x"], ["ACK x"], ["BYE x"])


def test_names_and_addresses() -> None:
    async def main() -> None:
        wire = Wire()
        port = attach(wire, "10.0.0.1", [])
        wire.name("carrier.test", ("10.0.0.5", 5060), ("10.0.0.6", 5070))
        found = await port.resolve(SipUri("sip", "Carrier.test"))
        assert [target.remote for target in found] == [("10.0.0.5", 5060), ("10.0.0.6", 5070)]
        assert {target.local for target in found} == {("10.0.0.1", 5060)}
        port.mark_failed(found[0])
        assert (await port.resolve(SipUri("sip", "carrier.test")))[0] == found[1]
        await asyncio.sleep(61)
        assert (await port.resolve(SipUri("sip", "carrier.test")))[0] == found[0]
        assert [target.remote for target in await port.resolve(SipUri("sip", "10.0.0.9"))] == [("10.0.0.9", 5060)]
        with pytest.raises(ResolveError):
            await port.resolve(SipUri("sip", "nobody.test"))
        with pytest.raises(ValueError, match="is taken"):
            wire.attach(Agent(AgentConfig(), wire.token), "10.0.0.1")
        await port.close()
        attach(wire, "10.0.0.1", [])

    run_virtual(main())


def test_tokens_have_96_bits_and_are_repeatable() -> None:
    async def main() -> list[str]:
        wire = Wire(seed=3)
        return [wire.token() for _ in range(50)]

    tokens = run_virtual(main())
    assert len(set(tokens)) == 50
    assert {len(token) for token in tokens} == {24}
    assert tokens == run_virtual(main())
