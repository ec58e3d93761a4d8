"""Our own phone with a voice: each says one tone, keeps what it hears, and lets a test look at everything."""

from __future__ import annotations

import array
import asyncio
import contextlib
import math
import secrets
from collections.abc import AsyncIterator

from sent.media.engine import RustEngine
from sent.media.types import MediaLegId
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.events import InviteReceived
from sent.sip.params import Params
from sent.sip.uri import SipUri
from sent.softphone.call import PhoneCall, PhoneState
from sent.softphone.phone import Account, Phone
from sent.transport.sip_transport import SipTransport
from tests.interop import product
from tests.interop.tones import PEAK, Sound

ALICE_HZ, BOB_HZ = 440.0, 1000.0
RATE = 8000
_TURN_S = 0.04


class Talk:
    """A call that is up, seen from one phone: its tone goes out, ``heard`` grows."""

    def __init__(self, engine: RustEngine, call: PhoneCall, hertz: float) -> None:
        self.call = call
        self._engine = engine
        self._hertz = hertz
        self._stream: MediaLegId | None = None
        self._heard = bytearray()
        self._task = asyncio.create_task(self._run())

    @property
    def heard(self) -> Sound:
        samples = array.array("h")
        samples.frombytes(bytes(self._heard[: len(self._heard) // 2 * 2]))
        return Sound(samples, RATE)

    def forget(self) -> None:
        """Judge only what comes from now on."""
        self._heard.clear()

    @property
    def is_up(self) -> bool:
        return self.call.state is PhoneState.TALKING

    async def over(self, seconds: float = 10.0) -> None:
        await self.call.changed(PhoneState.TALKING, seconds)
        assert self.call.state is PhoneState.OVER, f"the call is still {self.call.state.name} after {seconds} s"
        await self._task

    async def drop(self) -> None:
        """At the end of a test, whatever state the call is in."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        self._engine.close(self.call.media)

    async def _run(self) -> None:
        period = array.array("h", (round(PEAK * math.sin(2 * math.pi * self._hertz * n / RATE)) for n in range(RATE)))
        second = period.tobytes()
        if self.call.state is not PhoneState.TALKING:
            return  # over before it began
        stream = self._engine.open_stream(RATE, 200)
        self._engine.bridge(self.call.media, stream)
        at = 0
        while self.call.state is PhoneState.TALKING:
            at = (at + self._engine.stream_write(stream, second[at : at + 3200])) % len(second)
            self._heard += self._engine.stream_read(stream, 1 << 16)
            await asyncio.sleep(_TURN_S)
        self._engine.close(stream)


class Voice:
    """One phone of a test: a UDP socket of its own, answers every call at once unless told otherwise."""

    def __init__(self, engine: RustEngine, account: product.Account, sip_port: int, hertz: float, host: str) -> None:
        self._engine = engine
        self._hertz = hertz
        self._host = host
        self.account = account
        server = SipUri("sip", "127.0.0.1", port=sip_port, params=Params((("transport", "udp"),)))
        self._login = Account(account.user, server, Login(account.user, account.password))
        self.transport = SipTransport(Agent(AgentConfig(user_agent="test phone"), lambda: secrets.token_hex(8)))
        self.answers = True
        self.talks: list[Talk] = []
        """Of incoming calls that were answered."""
        self._all: list[Talk] = []
        self.incoming: list[PhoneCall] = []
        self._changed = asyncio.Event()

    async def open(self) -> None:
        await self.transport.listen_udp(self._host, 0)
        self.phone = Phone(self.transport, self._engine, self._login, self._host, answer=self._on_call)

    async def register(self, seconds: int = 300) -> None:
        response = await self.phone.register(seconds)
        assert response.status == 200, response.reason

    async def dial(self, number: str) -> PhoneCall:
        return await self.phone.call(number)

    async def talk_to(self, number: str, seconds: float = 10.0) -> Talk:
        """Call and be answered."""
        call = await self.dial(number)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while call.state in (PhoneState.CALLING, PhoneState.RINGING) and loop.time() < deadline:
            await call.changed(call.state, deadline - loop.time())
        assert call.state is PhoneState.TALKING, (call.state, call.outcome)
        return self._talk(call)

    async def refused_by(self, number: str, seconds: float = 10.0) -> PhoneCall:
        """Call and be refused; see ``outcome``."""
        call = await self.dial(number)
        loop = asyncio.get_running_loop()
        deadline = loop.time() + seconds
        while call.state is not PhoneState.OVER and loop.time() < deadline:
            await call.changed(call.state, deadline - loop.time())
        assert call.outcome is not None, call.state
        return call

    async def answered(self, count: int = 1, seconds: float = 10.0) -> Talk:
        """The ``count``-th call that this phone answered."""
        async with asyncio.timeout(seconds):
            while len(self.talks) < count:
                self._changed.clear()
                await self._changed.wait()
        return self.talks[count - 1]

    def _on_call(self, call: PhoneCall, _invite: InviteReceived) -> None:
        self.incoming.append(call)
        if self.answers:
            call.accept()
            self.talks.append(self._talk(call))
        else:
            call.ring()
        self._changed.set()

    def _talk(self, call: PhoneCall) -> Talk:
        talk = Talk(self._engine, call, self._hertz)
        self._all.append(talk)
        return talk

    async def vanish(self) -> None:
        """Without a word: its sockets are gone, and what it would say goes nowhere."""
        await self.transport.close()
        for talk in self._all:
            await talk.drop()


@contextlib.asynccontextmanager
async def phone_engine() -> AsyncIterator[RustEngine]:
    engine = RustEngine(40_000, 44_999, threads=1)
    engine.listen(lambda _event: None)
    try:
        yield engine
    finally:
        engine.shut_down()


@contextlib.asynccontextmanager
async def voice(
    engine: RustEngine, house: product.House, account: product.Account, hertz: float, *, register: bool = True,
    host: str = "127.0.0.1",
) -> AsyncIterator[Voice]:  # fmt: skip
    phone = Voice(engine, account, house.product.settings.sip_port, hertz, host)
    await phone.open()
    try:
        if register:
            await phone.register()
        yield phone
    finally:
        await phone.vanish()


@contextlib.asynccontextmanager
async def alice_and_bob(engine: RustEngine, house: product.House) -> AsyncIterator[tuple[Voice, Voice]]:
    async with voice(engine, house, house.alice, ALICE_HZ) as alice, voice(engine, house, house.bob, BOB_HZ) as bob:
        yield alice, bob


async def hear_each_other(alice: Talk, bob: Talk, seconds: float = 2.0) -> None:
    """From now on for ``seconds``: each hears the other's tone, all the time, and not its own."""
    alice.forget()
    bob.forget()
    await asyncio.sleep(seconds)
    for name, talk, other, own in (("caller", alice, BOB_HZ, ALICE_HZ), ("callee", bob, ALICE_HZ, BOB_HZ)):
        sound = talk.heard
        assert sound.seconds > seconds - 0.4, f"{name} heard {sound.seconds:.1f} s of {seconds:.1f} s"
        assert sound.hears(other), f"{name}: {sound.decibels(other):.1f} dB"
        assert sound.lacks(own), f"{name} hears itself: {sound.decibels(own):.1f} dB"
