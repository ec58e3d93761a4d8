"""A proxy that forks: several early dialogs, two answers, and what the losers hear (RFC 3261 §13.2.2.4)."""

from __future__ import annotations

import asyncio

from sent.sip.events import Accepted, Ended, Progress
from sent.sip.message import Request
from sent.sip.parser import parse_datagram
from sent.testing.clock import run_virtual
from sent.testing.phone import WirePhone
from sent.testing.wire import Wire
from tests.scenarios.sip_stub import Raw
from tests.scenarios.sip_support import ALICE, assert_empty, both_networks

SDP = "v=0\r\no=- 1 1 IN IP4 {host}\r\ns=-\r\nt=0 0\r\n"


class ForkingProxy:
    """Answers an INVITE as two phones at 10.0.0.11 and 10.0.0.12 would; their requests go to them directly."""

    def __init__(self, wire: Wire) -> None:
        self.proxy = Raw(wire, "10.0.0.9", self._on_request)
        self.phones = {host: Raw(wire, host, self._answerer(host)) for host in ("10.0.0.11", "10.0.0.12")}
        self.answers: list[tuple[float, int, str]] = []
        self._loop = asyncio.get_running_loop()
        self._seen = False
        self.reliable = False

    def plan(self, *answers: tuple[float, int, str]) -> None:
        """(seconds after the INVITE, status, which phone)."""
        self.answers = list(answers)

    def _on_request(self, data: bytes) -> None:
        request = parse_datagram(data)
        assert isinstance(request, Request)
        if request.method != "INVITE" or self._seen:
            return
        self._seen = True
        for delay, status, host in self.answers:
            self._loop.call_later(delay, self._answer, request, status, host)

    def _answer(self, request: Request, status: int, host: str) -> None:
        response = request.reply(status, None, f"tag-{host}")
        response.headers.add("Contact", f"<sip:bob@{host}>")
        response.headers.add("Content-Type", "application/sdp")
        if self.reliable and status < 200:
            response.headers.add("Require", "100rel")
            response.headers.add("RSeq", "17")
        response.body = SDP.format(host=host).encode()
        for again in range(6 if status == 200 else 3):  # a UAS repeats its 2xx; a lossy wire may eat a 180
            self._loop.call_later(0.5 * again, self.proxy.send, response.to_bytes(), ALICE)

    def _answerer(self, host: str) -> object:
        def answer(data: bytes) -> None:
            request = parse_datagram(data)
            assert isinstance(request, Request)
            if request.method != "ACK":
                self.phones[host].send(request.reply(200).to_bytes(), ALICE)

        return answer


@both_networks
def test_the_first_of_two_answers_wins_and_the_other_gets_ack_and_bye(network: dict[str, float], seed: int) -> None:
    async def main() -> None:
        wire = Wire(seed=seed, **network)
        proxy = ForkingProxy(wire)
        proxy.plan((0.1, 180, "10.0.0.11"), (0.2, 183, "10.0.0.12"), (3.0, 200, "10.0.0.12"), (3.5, 200, "10.0.0.11"))
        alice = WirePhone(wire, "alice", ALICE[0], server=("10.0.0.9", 5060))
        call = alice.call("bob")
        accepted = await call.wait(Accepted)
        winner = accepted.response.contacts[0].uri.host  # type: ignore[union-attr]  # the stub writes sip: URIs
        loser = "10.0.0.11" if winner == "10.0.0.12" else "10.0.0.12"
        if not network:
            assert winner == "10.0.0.12"
            assert {event.response.to.tag for event in call.saw(Progress)} == {"tag-10.0.0.11", "tag-10.0.0.12"}
        await asyncio.sleep(40)
        assert {line.split()[0] for line in proxy.phones[winner].start_lines} == {"ACK"}
        methods = [line.split()[0] for line in proxy.phones[loser].start_lines]
        assert set(methods) == {"ACK", "BYE"}
        assert call.last is None
        assert len(call.saw(Accepted)) == 1
        assert alice.agent.counters["late_answers"] == 1
        call.hang_up()
        assert isinstance(call.last, Ended)
        await asyncio.sleep(70)
        assert "BYE" in {line.split()[0] for line in proxy.phones[winner].start_lines}
        assert_empty(alice.agent)
        await alice.close()

    run_virtual(main())


def test_each_repetition_of_a_2xx_gets_its_ack_again() -> None:
    async def main() -> None:
        wire = Wire(seed=1)
        proxy = ForkingProxy(wire)
        proxy.plan((0.1, 200, "10.0.0.11"))
        alice = WirePhone(wire, "alice", ALICE[0], server=("10.0.0.9", 5060))
        call = alice.call("bob")
        await call.wait(Accepted)
        await asyncio.sleep(10)
        acks = proxy.phones["10.0.0.11"].heard
        assert len(acks) == 6
        assert len(set(acks)) == 1, "the same octets each time"
        call.hang_up()
        await asyncio.sleep(70)
        assert_empty(alice.agent)
        await alice.close()

    run_virtual(main())


def test_a_cancelled_call_that_two_phones_answer_hangs_up_on_both() -> None:
    async def main() -> None:
        wire = Wire(seed=1)
        proxy = ForkingProxy(wire)
        proxy.plan((0.1, 180, "10.0.0.11"), (1.0, 200, "10.0.0.11"), (1.1, 200, "10.0.0.12"))
        alice = WirePhone(wire, "alice", ALICE[0], server=("10.0.0.9", 5060))
        call = alice.call("bob")
        await call.wait(Progress)
        call.cancel()
        await asyncio.sleep(70)
        for phone in proxy.phones.values():
            assert {line.split()[0] for line in phone.start_lines} == {"ACK", "BYE"}
        assert call.saw(Accepted) == []
        assert_empty(alice.agent)
        await alice.close()

    run_virtual(main())


def test_each_branch_negotiates_for_itself() -> None:
    """One phone answers the offer in a reliable 183, the other one wins: its answer counts."""

    async def main() -> None:
        wire = Wire(seed=1)
        proxy = ForkingProxy(wire)
        proxy.reliable = True
        proxy.plan((0.1, 183, "10.0.0.11"), (1.0, 200, "10.0.0.12"))
        alice = WirePhone(wire, "alice", ALICE[0], server=("10.0.0.9", 5060))
        call = alice.call("bob")
        await call.wait(Progress)
        assert call.session.remote_sdp == SDP.format(host="10.0.0.11").encode()
        accepted = await call.wait(Accepted)
        assert call.session.remote_sdp == accepted.sdp == SDP.format(host="10.0.0.12").encode()
        assert len(call.saw(Progress)) == 1, "a reliable response is taken once"
        assert "PRACK" in {line.split()[0] for line in proxy.phones["10.0.0.11"].start_lines}
        call.hang_up()
        await asyncio.sleep(70)
        assert_empty(alice.agent)
        await alice.close()

    run_virtual(main())


def test_early_dialogs_of_one_call_are_bounded() -> None:
    async def main() -> None:
        wire = Wire(seed=1)
        alice = WirePhone(wire, "alice", ALICE[0], server=("10.0.0.9", 5060))
        server: Raw

        def flood(data: bytes) -> None:
            request = parse_datagram(data)
            assert isinstance(request, Request)
            if request.method == "INVITE":
                for number in range(200):
                    server.send(request.reply(180, None, f"t{number}").to_bytes(), ALICE)

        server = Raw(wire, "10.0.0.9", flood)
        call = alice.call("bob")
        await call.wait(Progress)
        await asyncio.sleep(1)
        assert len(alice.agent.dialogs) == 16
        assert alice.agent.counters["forks_refused"] == 184
        call.cancel()
        await asyncio.sleep(110)
        assert_empty(alice.agent)
        await alice.close()

    run_virtual(main())
