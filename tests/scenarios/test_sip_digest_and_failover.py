"""Challenges answered, stale nonces, wrong passwords; the next target on 503, silence and broken connections."""

from __future__ import annotations

import asyncio

import pytest

from sent.sip.digest import Challenge, find_credentials, ha1, verify
from sent.sip.errors import LocalProtocolError
from sent.sip.events import Accepted, Ended, Event, Failed, InviteReceived, RequestReceived
from sent.sip.message import Request
from sent.sip.uri import SipUri
from sent.testing.clock import run_virtual
from sent.testing.phone import WirePhone
from sent.testing.wire import Wire
from tests.scenarios.sip_stub import Stub
from tests.scenarios.sip_support import CLEAN, ROUGH, assert_empty, both_networks

SERVER = ("10.0.0.9", 5060)
PASSWORD = "correct horse"
OWN_SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.9\r\ns=-\r\nt=0 0\r\n"


class Registrar:
    """Asks for digest; the first ``stale`` answers are told that their nonce is old."""

    def __init__(self, stale: int = 0, status: int = 401) -> None:
        self.stale = stale
        self.status = status
        self.bodies: list[bytes] = []
        self.cseqs: list[int] = []
        self._serial = 0

    def _challenge(self, *, stale: bool = False) -> tuple[tuple[str, str], ...]:
        self._serial += 1
        name = "WWW-Authenticate" if self.status == 401 else "Proxy-Authenticate"
        return ((name, str(Challenge("example.test", f"nonce{self._serial}", stale=stale))),)

    def check(self, request: Request) -> tuple[tuple[str, str], ...] | None:
        """None: come in. Otherwise the challenge."""
        self.bodies.append(request.body)
        self.cseqs.append(request.cseq.number)
        field = "Authorization" if self.status == 401 else "Proxy-Authorization"
        given = find_credentials(request.headers.get_all(field), "example.test")
        if given is None:
            return self._challenge()
        known = ha1(given.username, "example.test", PASSWORD)
        if not verify(given, method=request.method, ha1_hex=known):
            return self._challenge()
        if self.stale > 0:
            self.stale -= 1
            return self._challenge(stale=True)
        return None

    def __call__(self, stub: Stub, event: Event) -> None:
        if isinstance(event, RequestReceived):
            refused = self.check(event.request)
            stub.agent.respond(event.tx, self.status if refused else 200, stub.now(), headers=refused or ())
        elif isinstance(event, InviteReceived):
            refused = self.check(event.request)
            if refused:
                event.session.reject(self.status, stub.now(), headers=refused)
            else:
                event.session.answer(stub.now(), OWN_SDP)


def register(registrar: Registrar, password: str, network: dict[str, float], seed: int) -> list[int]:
    """Statuses of two REGISTERs."""

    async def main() -> list[int]:
        wire = Wire(seed=seed, **network)
        stub = Stub(wire, SERVER[0], registrar)
        phone = WirePhone(wire, "alice", "10.0.0.1", password=password, server=SERVER)
        statuses = [(await phone.register()).status, (await phone.register()).status]
        await phone.close()
        await stub.port.close()
        return statuses

    return run_virtual(main())


@both_networks
def test_register_answers_the_challenge_and_counts_its_cseq_on(network: dict[str, float], seed: int) -> None:
    registrar = Registrar()
    assert register(registrar, PASSWORD, network, seed) == [200, 200]
    assert registrar.cseqs == [1, 2, 3, 4]


def test_a_stale_nonce_is_answered_again() -> None:
    assert register(Registrar(stale=2), PASSWORD, CLEAN, 1) == [200, 200]


def test_a_wrong_password_is_tried_once_for_each_request() -> None:
    registrar = Registrar()
    assert register(registrar, "wrong", CLEAN, 1) == [401, 401]
    assert len(registrar.cseqs) == 4


def test_a_server_that_calls_every_nonce_stale_does_not_loop() -> None:
    registrar = Registrar(stale=1000)
    assert register(registrar, PASSWORD, CLEAN, 1) == [401, 401]
    assert len(registrar.cseqs) == 10


def call(
    handlers: list[Registrar | None], network: dict[str, float], seed: int, password: str = PASSWORD
) -> tuple[WirePhone, list[Stub], float]:
    """Alice calls through several servers, in order; None is one that is silent. How long it took."""

    async def main() -> tuple[WirePhone, list[Stub], float]:
        wire = Wire(seed=seed, **network)
        stubs = []
        places = []
        for number, handler in enumerate(handlers):
            places.append((f"10.0.1.{number}", 5060))
            if handler is not None:
                stubs.append(Stub(wire, places[-1][0], handler))
        phone = WirePhone(wire, "alice", "10.0.0.1", password=password)
        started = phone.now()
        made = phone.call("sip:100@carrier.test", targets=places)
        while made.last is None and not made.saw(Accepted):
            phone.changed.clear()
            await phone.changed.wait()
        took = phone.now() - started
        if made.last is None:
            made.hang_up()
        await _settle(phone, stubs)
        return phone, stubs, took

    return run_virtual(main())


async def _settle(phone: WirePhone, stubs: list[Stub]) -> None:
    await asyncio.sleep(100)
    assert_empty(phone.agent)
    for stub in stubs:
        assert_empty(stub.agent)
        await stub.port.close()
    await phone.close()


@both_networks
def test_a_407_on_invite_is_answered_with_the_same_body(network: dict[str, float], seed: int) -> None:
    proxy = Registrar(status=407)
    phone, _, _ = call([proxy], network, seed)
    assert phone.calls[0].saw(Accepted)
    assert proxy.cseqs == [1, 2]
    assert proxy.bodies[0] == proxy.bodies[1] == phone.calls[0].session.local_sdp


def test_a_wrong_password_on_invite_fails_with_the_challenge() -> None:
    phone, _, _ = call([Registrar(status=407)], CLEAN, 1, password="wrong")
    assert [(event.status, event.cause) for event in phone.calls[0].saw(Failed)] == [(407, "response")]


class Answering(Registrar):
    def __init__(self, status: int) -> None:
        super().__init__()
        self.answer = status
        self.asked = 0

    def __call__(self, stub: Stub, event: Event) -> None:
        if isinstance(event, InviteReceived):
            self.asked += 1
            if self.answer == 200:
                event.session.answer(stub.now(), OWN_SDP)
            else:
                event.session.reject(self.answer, stub.now(), reason="Carrier says no")


def test_503_goes_to_the_next_target_with_a_fresh_branch() -> None:
    full, good = Answering(503), Answering(200)
    phone, stubs, took = call([full, good], CLEAN, 1)
    assert phone.calls[0].saw(Accepted)
    assert (full.asked, good.asked) == (1, 1)
    assert took < 1
    first, second = (stub.invites[0].request for stub in stubs)
    assert first.top_via.branch != second.top_via.branch
    assert (first.call_id, first.cseq, first.body) == (second.call_id, second.cseq, second.body)
    assert phone.agent.counters["failovers"] == 1


def test_a_target_that_failed_is_resolved_last_for_a_minute() -> None:
    async def main() -> None:
        wire = Wire(seed=1)
        wire.name("carrier.test", ("10.0.1.0", 5060), ("10.0.1.1", 5060))
        stubs = [
            Stub(wire, f"10.0.1.{number}", handler) for number, handler in enumerate([Answering(503), Answering(200)])
        ]
        phone = WirePhone(wire, "alice", "10.0.0.1")
        uri = SipUri("sip", "carrier.test", "100")
        before = await phone.port.resolve(uri)
        made = phone.call(uri, targets=[target.remote for target in before])
        await made.wait(Accepted)
        assert await phone.port.resolve(uri) == before[::-1]
        await asyncio.sleep(61)
        assert await phone.port.resolve(uri) == before
        made.hang_up()
        await _settle(phone, stubs)

    run_virtual(main())


def test_503_on_a_bad_network() -> None:
    for seed in range(5):
        phone, _, _ = call([Answering(503), Answering(503), Answering(200)], ROUGH, seed)
        assert phone.calls[0].saw(Accepted)


def test_a_silent_target_gives_way_after_64_t1() -> None:
    phone, _, took = call([None, Answering(200)], CLEAN, 1)
    assert phone.calls[0].saw(Accepted)
    assert 32 <= took < 33


def test_the_last_503_is_what_the_caller_hears() -> None:
    phone, _, _ = call([Answering(503), Answering(503)], CLEAN, 1)
    failed = phone.calls[0].saw(Failed)[0]
    assert (failed.status, failed.reason, failed.cause) == (503, "Carrier says no", "response")


def test_what_the_callee_decided_is_not_tried_elsewhere() -> None:
    for status in (403, 404, 486, 603):
        refusing, never = Answering(status), Answering(200)
        phone, _, _ = call([refusing, never], CLEAN, 1)
        assert phone.calls[0].saw(Failed)[0].status == status
        assert never.asked == 0


def test_no_target_at_all_fails_as_transport() -> None:
    phone, _, _ = call([], CLEAN, 1)
    assert phone.calls[0].saw(Failed)[0].cause == "transport"


def test_bye_before_the_answer_is_our_mistake() -> None:
    async def main() -> None:
        wire = Wire(seed=1)
        phone = WirePhone(wire, "alice", "10.0.0.1")
        made = phone.call("sip:x@10.0.0.5")
        with pytest.raises(LocalProtocolError, match="before the answer"):
            made.session.bye(phone.now())
        assert made.saw(Ended) == []
        await phone.close()

    run_virtual(main())
