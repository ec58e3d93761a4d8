"""What `sent trunk add` says while it tries a new trunk."""

from __future__ import annotations

from dataclasses import replace

import pytest

from sent.gateway.requests import OutsideRequests
from sent.sip.agent import Agent
from sent.sip.config import AgentConfig
from sent.trunks.directory import Account
from sent.trunks.models import Trunk, TrunkMode
from sent.trunks.validation import validate
from tests.scenarios.gateway_world import World, play
from tests.scenarios.test_gateway_trunks import DOMAIN, Registrar
from tests.unit.trunks.trunk_factory import TRUNK


async def steps(world: World, trunk: Trunk = TRUNK, password: str | None = "5ecret") -> list[tuple[str, bool, str]]:
    port = world.wire.attach(Agent(AgentConfig(), world.wire.token), "10.0.0.2")
    requests = OutsideRequests(port)
    requests.listen()
    found = [(s.name, s.ok, s.words) async for s in validate(Account(trunk, password, ()), requests, port)]
    await port.close()
    return found


def test_a_good_trunk_passes_all_steps_and_stays_unregistered():
    async def scenario(world: World) -> None:
        registrar = Registrar(world.carrier("192.0.2.50"))
        world.wire.name(DOMAIN, ("192.0.2.50", 5060))
        assert await steps(world) == [
            ("settings", True, "The settings are complete."),
            ("address", True, "The carrier is at UDP 192.0.2.50:5060."),
            ("answer", True, "The carrier answers (200 OK)."),
            ("login", True, "The carrier accepts the login as 4930555."),
        ]
        last = [p.data for p in world.wire.packets if p.data.startswith(b"REGISTER")][-1]
        assert b"Expires: 0" in last
        assert len(registrar.accepted) == 2

    play(scenario)


def test_an_unknown_name_stops_at_the_address():
    async def scenario(world: World) -> None:
        *_, last = await steps(world)
        assert last[:2] == ("address", False)
        assert "Check the spelling" in last[2]

    play(scenario)


def test_a_silent_carrier_stops_at_the_answer():
    async def scenario(world: World) -> None:
        world.carrier("192.0.2.50").vanish()
        world.wire.name(DOMAIN, ("192.0.2.50", 5060))
        *_, last = await steps(world)
        assert last == (
            "answer",
            False,
            (
                "UDP 192.0.2.50:5060 did not answer. "
                "Check the transport (UDP), the port, and that no firewall is in between."
            ),
        )

    play(scenario)


def test_a_wrong_password_stops_at_the_login():
    async def scenario(world: World) -> None:
        Registrar(world.carrier("192.0.2.50"))
        world.wire.name(DOMAIN, ("192.0.2.50", 5060))
        *_, last = await steps(world, password="wrong")
        assert last[:2] == ("login", False)
        assert last[2].startswith("The carrier answered 401 Unauthorized. Check the user name and password")

    play(scenario)


@pytest.mark.parametrize(("sources", "words"), [(("192.0.2.50",), "are sources"), (("192.0.2.1",), "would be refused")])
def test_a_trunk_by_address_is_told_where_calls_must_come_from(sources: tuple[str, ...], words: str):
    async def scenario(world: World) -> None:
        world.carrier("192.0.2.50")
        world.wire.name(DOMAIN, ("192.0.2.50", 5060))
        *_, last = await steps(world, replace(TRUNK, mode=TrunkMode.ADDRESS, sources=sources), None)
        assert last[:2] == ("sources", True)
        assert "10.0.0.2" in last[2]
        assert words in last[2]

    play(scenario)


def test_incomplete_settings_stop_at_once():
    async def scenario(world: World) -> None:
        assert await steps(world, password=None) == [
            ("settings", False, "A trunk that registers needs a user name and a password.")
        ]

    play(scenario)
