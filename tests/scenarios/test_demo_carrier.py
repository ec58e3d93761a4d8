"""The demo carrier on a wire: registers by digest, behaves by number, calls back; and lets nobody else in."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sent.app.demo.carrier import DemoCarrier
from sent.app.demo.numbers import BEHAVIOURS, OWN, Behaviour, behaviour_of
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.events import InviteReceived
from sent.sip.uri import SipUri
from sent.softphone.call import CallOutcome, PhoneCall, PhoneState
from sent.softphone.phone import Account, Phone
from sent.testing.clock import run_virtual
from sent.testing.engine import FakeEngine
from sent.testing.wire import Wire
from tests.scenarios.sip_support import assert_empty

CARRIER = ("127.0.0.1", 5070)
CUSTOMER = ("127.0.0.1", 5060)
NUMBERS = {behaviour: number for number, behaviour in BEHAVIOURS.items()}


class Table:
    def __init__(self, password: str) -> None:
        wire = Wire()
        self.engines = FakeEngine(), FakeEngine()
        self.agents = Agent(AgentConfig(), wire.token), Agent(AgentConfig(), wire.token)
        ports = wire.attach(self.agents[0], *CUSTOMER), wire.attach(self.agents[1], *CARRIER)
        self.carrier = DemoCarrier(ports[1], self.engines[1], "customer", "s3cret")
        self.rang: asyncio.Queue[tuple[PhoneCall, InviteReceived]] = asyncio.Queue()
        self.phone = Phone(
            ports[0],
            self.engines[0],
            Account("customer", SipUri("sip", CARRIER[0], port=CARRIER[1]), Login("customer", password)),
            CUSTOMER[0],
            answer=lambda call, event: self.rang.put_nowait((call, event)),
        )
        self.ports = ports

    async def outcome(self, call: PhoneCall, seconds: float = 60) -> CallOutcome:
        async with asyncio.timeout(seconds):
            while call.state is not PhoneState.OVER:
                await call.changed(call.state, seconds)
        assert call.outcome is not None
        return call.outcome

    async def talking(self, call: PhoneCall) -> None:
        async with asyncio.timeout(20):
            while call.state is not PhoneState.TALKING:
                await call.changed(call.state, 20)

    async def close(self) -> None:
        await asyncio.sleep(70)
        await self.carrier.close()
        await self.ports[0].close()
        for engine in self.engines:
            engine.check_released()
        for agent in self.agents:
            assert_empty(agent)


def play(scenario: Callable[[Table], Awaitable[None]], password: str = "s3cret") -> None:
    async def main() -> None:
        table = Table(password)
        await scenario(table)
        await table.close()

    run_virtual(main())


def test_its_numbers_are_found_with_and_without_a_plus():
    assert behaviour_of("+12025550103") is behaviour_of("12025550103") is Behaviour.BUSY
    assert behaviour_of("+12025559999") is None
    assert behaviour_of("") is None


def test_it_registers_only_who_knows_the_password():
    async def right(table: Table) -> None:
        response = await table.phone.register(3_600)
        assert response.status == 200
        assert "expires=60" in (response.headers.get("contact") or "")
        assert (await table.phone.register(0)).headers.get("contact") is None

    async def wrong(table: Table) -> None:
        assert (await table.phone.register()).status == 401
        assert (await table.outcome(await table.phone.call(NUMBERS[Behaviour.ECHO]))).status == 407

    play(right)
    play(wrong, password="guess")


@pytest.mark.parametrize(
    ("behaviour", "status"),
    [(Behaviour.BUSY, 486), (Behaviour.DECLINE, 603), (Behaviour.BARRED, 403), (Behaviour.UNAVAILABLE, 503)],
)
def test_it_refuses_by_number(behaviour, status):
    async def scenario(table: Table) -> None:
        outcome = await table.outcome(await table.phone.call(NUMBERS[behaviour]))
        assert outcome.status == status
        assert ("barred" in (outcome.reason or "")) is (behaviour is Behaviour.BARRED)

    play(scenario)


def test_a_number_that_is_nobodys_is_not_found():
    async def scenario(table: Table) -> None:
        assert (await table.outcome(await table.phone.call("+12025550199"))).status == 404

    play(scenario)


def test_the_echo_sends_the_caller_its_own_voice_until_the_caller_hangs_up():
    async def scenario(table: Table) -> None:
        call = await table.phone.call(NUMBERS[Behaviour.ECHO])
        await table.talking(call)
        await asyncio.sleep(1)
        ((a, b),) = table.engines[1].named("bridge")
        assert a == b
        await asyncio.sleep(100)
        call.hang_up()
        assert (await table.outcome(call)).words == "hung up"

    play(scenario)


def test_an_echo_ends_by_itself_in_the_end():
    async def scenario(table: Table) -> None:
        call = await table.phone.call(NUMBERS[Behaviour.ECHO])
        assert (await table.outcome(call, 700)).words == "the other side hung up"

    play(scenario)


def test_the_chime_is_played_and_then_it_hangs_up():
    async def scenario(table: Table) -> None:
        outcome = await table.outcome(await table.phone.call(NUMBERS[Behaviour.CHIME]), 10)
        assert outcome.words == "the other side hung up"
        ((_leg, file, loop),) = table.engines[1].named("play_file")
        assert str(file).endswith(".wav")
        assert not loop

    play(scenario)


def test_one_number_rings_until_the_caller_gives_up():
    async def scenario(table: Table) -> None:
        call = await table.phone.call(NUMBERS[Behaviour.NO_ANSWER])
        await asyncio.sleep(60)
        assert call.state is PhoneState.RINGING
        call.hang_up()
        assert not (await table.outcome(call)).answered

    play(scenario)


def test_it_calls_back_the_number_that_the_customer_has_from_it():
    async def scenario(table: Table) -> None:
        await table.phone.register(60)
        call = await table.phone.call(NUMBERS[Behaviour.CALL_BACK])
        assert (await table.outcome(call, 10)).words == "the other side hung up"
        async with asyncio.timeout(10):
            back, event = await table.rang.get()
        assert isinstance(event.request.uri, SipUri)
        assert event.request.uri.user == OWN
        assert isinstance(event.request.from_.uri, SipUri)
        assert event.request.from_.uri.user == NUMBERS[Behaviour.CALL_BACK]
        back.accept()
        await asyncio.sleep(5)
        assert [a == b for a, b in table.engines[1].named("bridge")] == [True]
        back.hang_up()

    play(scenario)


def test_it_does_not_call_back_who_is_not_registered():
    async def scenario(table: Table) -> None:
        await table.outcome(await table.phone.call(NUMBERS[Behaviour.CALL_BACK]), 10)
        await asyncio.sleep(20)
        assert table.rang.empty()

    play(scenario)
