"""Our own SIP phone against scripted ones, on virtual time: registers, calls, is called, is put on hold."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from sent.kit.errors import Unavailable
from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig
from sent.sip.digest import Challenge, find_credentials, ha1, verify
from sent.sip.events import Accepted, Cancelled, Ended, Failed, InviteReceived, OfferAnswered, OfferRefused
from sent.sip.header_values import NameAddr
from sent.sip.uri import SipUri
from sent.softphone.call import PhoneCall, PhoneState
from sent.softphone.phone import Account, Phone
from sent.testing.clock import run_virtual
from sent.testing.engine import FakeEngine
from sent.testing.phone import PhoneScript, WirePhone, direction_of
from sent.testing.wire import Wire
from tests.scenarios.sip_support import assert_empty

OURS = ("10.0.0.1", 5060)
THEIRS = ("10.0.0.2", 5060)


class Table:
    """Our phone and a scripted one that is its server, too."""

    def __init__(self, script: PhoneScript | None = None, login: Login | None = None) -> None:
        self.wire = Wire()
        self.engine = FakeEngine()
        self.agent = Agent(AgentConfig(user_agent="phone"), self.wire.token)
        self.port = self.wire.attach(self.agent, *OURS)
        self.rang: asyncio.Queue[PhoneCall] = asyncio.Queue()
        self.other = WirePhone(
            self.wire, "bob", THEIRS[0], script=script, config=AgentConfig(methods=frozenset({"REGISTER"}))
        )
        self.phone = self.make_phone(Account("alice", SipUri("sip", THEIRS[0], port=5060), login, "Alice"))

    def make_phone(self, account: Account) -> Phone:
        def take(call: PhoneCall, event: InviteReceived) -> None:
            del event
            self.rang.put_nowait(call)

        return Phone(self.port, self.engine, account, OURS[0], answer=take)

    async def until(self, call: PhoneCall, *states: PhoneState) -> PhoneState:
        async with asyncio.timeout(120):
            while call.state not in states:
                await call.changed(call.state, 120)
        return call.state

    async def take_call(self) -> PhoneCall:
        async with asyncio.timeout(5):
            return await self.rang.get()

    async def close(self) -> None:
        """However a call ended: nothing of it is left."""
        await asyncio.sleep(70)
        self.engine.check_released()
        assert_empty(self.agent)
        await self.port.close()
        await self.other.close()


def play(
    scenario: Callable[[Table], Awaitable[None]], script: PhoneScript | None = None, login: Login | None = None
) -> None:
    async def main() -> None:
        table = Table(script, login)
        await scenario(table)
        await table.close()

    run_virtual(main())


# -- registering ----------------------------------------------------------------------------------------------------


def _registrar(table: Table, password: str) -> list[str]:
    """Lets the other side ask for a digest; returns the Call-ID, CSeq and Expires of what it accepted."""
    accepted: list[str] = []
    secret = ha1("alice", "office", password)

    def on_request(event) -> None:
        request = event.request
        credentials = find_credentials(request.headers.get_all("authorization"), "office")
        good = credentials is not None and verify(credentials, method="REGISTER", ha1_hex=secret, body=b"")
        if good:
            accepted.append(f"{request.call_id} {request.cseq.number} {request.expires} {request.contacts[0].uri}")
            table.other.agent.respond(event.tx, 200, table.other.now())
        else:
            challenge = str(Challenge("office", "n0nce"))
            table.other.agent.respond(event.tx, 401, table.other.now(), headers=[("WWW-Authenticate", challenge)])

    table.other.on_request = on_request
    return accepted


def test_it_registers_by_digest_refreshes_in_one_series_and_unregisters():
    async def scenario(table: Table) -> None:
        accepted = _registrar(table, "s3cret")
        for seconds in (300, 300, 0):
            assert (await table.phone.register(seconds)).status == 200
        ids, numbers, expires, contacts = zip(*(line.split() for line in accepted), strict=True)
        assert len(set(ids)) == 1
        assert list(map(int, numbers)) == sorted(set(map(int, numbers)))
        assert expires == ("300", "300", "0")
        assert set(contacts) == {f"sip:alice@{OURS[0]}:5060"}

    play(scenario, login=Login("alice", "s3cret"))


def test_a_wrong_password_is_told_and_not_tried_for_ever():
    async def scenario(table: Table) -> None:
        accepted = _registrar(table, "another")
        assert (await table.phone.register()).status == 401
        assert not accepted
        assert len([line for line in table.wire.start_lines(source=OURS) if line.startswith("REGISTER")]) == 2

    play(scenario, login=Login("alice", "s3cret"))


def test_a_server_that_says_nothing_is_unavailable():
    async def scenario(table: Table) -> None:
        table.other.vanish()
        with pytest.raises(Unavailable, match=r"10\.0\.0\.2:5060 does not answer SIP") as failed:
            await table.phone.register()
        assert failed.value.code == "softphone.no_answer"

    play(scenario)


# -- calling --------------------------------------------------------------------------------------------------------


def test_a_call_rings_is_answered_and_hung_up_by_us():
    async def scenario(table: Table) -> None:
        call = await table.phone.call("102")
        assert call.state is PhoneState.CALLING
        assert await table.until(call, PhoneState.RINGING)
        await table.until(call, PhoneState.TALKING)
        assert call.codec == "PCMU"
        settings = table.engine.legs[call.media].settings
        assert settings is not None
        assert settings.remote == (THEIRS[0], 20_002)
        assert settings.latch_from == (THEIRS[0],)
        call.hang_up()
        await table.until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert (call.outcome.words, call.outcome.answered) == ("hung up", True)
        callee = table.other.calls[0]
        assert (await callee.wait(Ended)).by_remote
        assert callee.incoming is not None
        assert callee.incoming.uri == SipUri("sip", THEIRS[0], "102", port=5060)
        assert str(callee.incoming.from_.uri) == f"sip:alice@{THEIRS[0]}"
        assert callee.incoming.from_.display == "Alice"

    play(scenario)


def test_the_other_side_hangs_up():
    async def scenario(table: Table) -> None:
        call = await table.phone.call("102")
        await table.until(call, PhoneState.TALKING)
        table.other.calls[0].hang_up()
        await table.until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert call.outcome.words == "the other side hung up"
        call.hang_up()  # again: nothing happens

    play(scenario)


@pytest.mark.parametrize("status", [403, 404, 486, 603])
def test_a_refusal_keeps_its_status_and_reason(status):
    async def scenario(table: Table) -> None:
        call = await table.phone.call("102")
        await table.until(call, PhoneState.OVER)
        outcome = call.outcome
        assert outcome is not None
        assert not outcome.answered
        assert outcome.status == status
        assert outcome.words.startswith(str(status))
        assert outcome.reason == 'Q.850;cause=21;text="barred"'

    play(scenario, PhoneScript(reject_with=status, headers=(("Reason", 'Q.850;cause=21;text="barred"'),)))


def test_hanging_up_while_it_rings_cancels():
    async def scenario(table: Table) -> None:
        call = await table.phone.call("102")
        await table.until(call, PhoneState.RINGING)
        call.hang_up()
        await table.until(call, PhoneState.OVER)
        await table.other.calls[0].wait(Cancelled)
        assert call.outcome is not None
        assert not call.outcome.answered

    play(scenario, PhoneScript(answer_after=None))


def test_a_server_that_is_gone_is_said_in_words():
    async def scenario(table: Table) -> None:
        table.other.vanish()
        call = await table.phone.call("102")
        await table.until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert call.outcome.words == "nobody answered SIP"

    play(scenario)


def test_an_invite_is_sent_again_with_the_digest_that_was_asked_for():
    async def scenario(table: Table) -> None:
        proofs = []

        def take(call: PhoneCall, event: InviteReceived) -> None:
            proofs.append(event.request.headers.get("proxy-authorization"))
            if proofs[-1] is None:
                call.refuse(407, headers=(("Proxy-Authenticate", str(Challenge("office", "n0nce"))),))
            else:
                call.accept()

        await table.other.close()
        engine = FakeEngine()
        port = table.wire.attach(Agent(AgentConfig(), table.wire.token), *THEIRS)
        Phone(port, engine, Account("server", SipUri("sip", THEIRS[0])), THEIRS[0], answer=take)
        call = await table.phone.call("600")
        await table.until(call, PhoneState.TALKING)
        assert len(proofs) == 2
        assert 'username="alice"' in proofs[1]
        assert call.codec == "opus"
        call.hang_up()
        await asyncio.sleep(5)
        engine.check_released()
        await port.close()

    play(scenario, login=Login("alice", "s3cret"))


# -- being called ---------------------------------------------------------------------------------------------------

US = f"sip:alice@{OURS[0]}"


def test_an_incoming_call_rings_and_is_taken():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US)
        call = await table.take_call()
        assert call.state is PhoneState.RINGING
        call.ring()
        await asyncio.sleep(1)
        call.accept()
        assert call.state is PhoneState.TALKING
        await theirs.wait(Accepted)
        await asyncio.sleep(1)
        theirs.hang_up()
        await table.until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert call.outcome.words == "the other side hung up"

    play(scenario)


def test_an_incoming_call_is_refused_with_the_status_that_was_asked_for():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US)
        call = await table.take_call()
        call.refuse(486)
        assert (await theirs.wait(Failed)).status == 486
        assert call.outcome is not None
        assert (call.outcome.words, call.outcome.status) == ("refused", 486)

    play(scenario)


def test_a_phone_that_takes_no_calls_is_busy():
    async def scenario(table: Table) -> None:
        Phone(table.port, table.engine, Account("alice", SipUri("sip", THEIRS[0])), OURS[0])
        theirs = table.other.call(US)
        assert (await theirs.wait(Failed)).status == 486

    play(scenario)


def test_the_caller_gives_up():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US)
        call = await table.take_call()
        call.ring()
        await asyncio.sleep(3)
        theirs.cancel()
        await table.until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert (call.outcome.words, call.outcome.status) == ("the caller gave up", 487)

    play(scenario)


def test_a_call_without_a_common_codec_is_refused_with_488():
    async def scenario(table: Table) -> None:
        sdp = b"v=0\r\no=- 1 1 IN IP4 10.0.0.2\r\ns=-\r\nc=IN IP4 10.0.0.2\r\nt=0 0\r\nm=audio 4000 RTP/AVP 18\r\n"
        table.other.agent.invite(
            SipUri("sip", OURS[0], "alice"),
            from_=NameAddr(SipUri("sip", THEIRS[0], "bob")),
            targets=[table.other.port.target(OURS)],
            now=table.other.now(),
            offer=sdp,
        )
        table.other.port.touch()
        call = await table.take_call()
        call.accept()
        await asyncio.sleep(1)
        assert any("SIP/2.0 488" in line for line in table.wire.start_lines(source=OURS))

    play(scenario)


def test_a_late_offer_is_ours_and_the_answer_comes_with_the_ack():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US, late_offer=True)
        call = await table.take_call()
        call.accept()
        accepted = await theirs.wait(Accepted)
        assert accepted.offer_pending
        assert accepted.sdp is not None
        assert b"m=audio" in accepted.sdp
        await asyncio.sleep(1)
        assert call.codec == "PCMU"
        call.hang_up()
        await theirs.wait(Ended)

    play(scenario)


def test_hold_from_the_other_side_silences_us_and_its_end_is_heard():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US)
        call = await table.take_call()
        call.accept()
        await theirs.wait(Accepted)
        for hold, may_send in ((True, False), (False, True)):
            (theirs.hold if hold else theirs.unhold)()
            await theirs.wait(OfferAnswered, count=1 if hold else 2)
            settings = table.engine.legs[call.media].settings
            assert settings is not None
            assert settings.may_send is may_send
        answers = [direction_of(event.sdp) for event in theirs.saw(OfferAnswered)]
        assert answers == ["recvonly", "sendrecv"]
        call.hang_up()

    play(scenario)


def test_an_offer_that_cannot_be_taken_changes_nothing():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US)
        call = await table.take_call()
        call.accept()
        await theirs.wait(Accepted)
        before = table.engine.legs[call.media].settings
        theirs.session.offer(b"this is no session description", table.other.now())
        table.other.port.touch()
        assert (await theirs.wait(OfferRefused)).status == 488
        assert table.engine.legs[call.media].settings == before
        assert call.state is PhoneState.TALKING
        call.hang_up()

    play(scenario)


def test_a_caller_that_asks_for_an_offer_gets_the_one_of_before():
    async def scenario(table: Table) -> None:
        theirs = table.other.call(US)
        call = await table.take_call()
        call.accept()
        await theirs.wait(Accepted)
        theirs.ask_for_offer()
        await asyncio.sleep(2)
        assert call.state is PhoneState.TALKING
        assert call.codec == "PCMU"
        call.hang_up()
        await theirs.wait(Ended)
        assert table.rang.empty()

    play(scenario)


def test_an_ack_that_never_comes_ends_the_call_in_words():
    async def scenario(table: Table) -> None:
        table.wire.lose = lambda packet: packet.start_line.startswith("ACK")
        table.other.call(US)
        call = await table.take_call()
        call.accept()
        await table.until(call, PhoneState.OVER)
        assert call.outcome is not None
        assert call.outcome.words == "the other side never confirmed the answer"

    play(scenario)


def test_a_request_outside_of_calls_is_not_allowed():
    async def scenario(table: Table) -> None:
        table.other.server = OURS
        assert (await table.other.register()).status == 405

    play(scenario)
