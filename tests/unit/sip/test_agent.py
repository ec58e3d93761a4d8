"""The agent by hand: octets and time in, octets and events out. When it sends, to whom, and what it forgets."""

from __future__ import annotations

from itertools import count

import pytest

from sent.sip.agent import Agent
from sent.sip.authorization import Login
from sent.sip.config import AgentConfig, Trace
from sent.sip.digest import Challenge
from sent.sip.events import (
    Accepted,
    Ended,
    Event,
    Failed,
    InviteReceived,
    RequestFailed,
    RequestReceived,
    ResponseReceived,
)
from sent.sip.flow import Flow, Send, Target
from sent.sip.header_values import parse_name_addr
from sent.sip.message import Message, Request, Response
from sent.sip.parser import parse_datagram
from sent.sip.session import Session
from sent.sip.uri import parse_uri

HERE, THERE = ("10.0.0.1", 5060), ("10.0.0.2", 5060)
UDP = Target("UDP", *THERE, HERE)
TCP = Target("TCP", *THERE, HERE)
SDP = b"v=0\r\n"


def make(config: AgentConfig | None = None) -> Agent:
    tokens = count(1)
    return Agent(config or AgentConfig(), lambda: f"token{next(tokens)}")


def events(agent: Agent) -> list[Event]:
    out = []
    while (event := agent.next_event()) is not None:
        out.append(event)
    return out


def run(agent: Agent, until: float) -> list[tuple[float, Send]]:
    """Let time pass with nobody answering; what is sent, and when."""
    sent = []
    while (at := agent.next_timer()) is not None and at <= until:
        agent.handle_timer(at)
        sent += [(at, send) for send in agent.to_send(at)]
    return sent


def sent_one(agent: Agent, now: float = 0.0) -> Message:
    (send,) = agent.to_send(now)
    return parse_datagram(send.data)


def options(agent: Agent, target: Target, login: Login | None = None) -> Request:
    agent.request(Request("OPTIONS", parse_uri("sip:x.test")), [target], 0.0, login)
    message = sent_one(agent)
    assert isinstance(message, Request)
    return message


def invite(agent: Agent, *targets: Target) -> tuple[Session, Request]:
    session = agent.invite(
        parse_uri("sip:b@x.test"), from_=parse_name_addr("<sip:a@x.test>"), targets=targets, now=0.0, offer=SDP
    )
    message = sent_one(agent)
    assert isinstance(message, Request)
    return session, message


def answer(agent: Agent, request: Request, status: int, now: float, tag: str = "t", target: Target = UDP) -> None:
    response = request.reply(status, None, tag)
    response.headers.add("Contact", "<sip:b@10.0.0.2>")
    agent.receive(response.to_bytes(), Flow(target.transport, HERE, THERE, 1 if target.reliable else 0), now)


class TestRetransmission:
    """RFC 3261 §17."""

    def test_a_request_without_answer(self) -> None:
        agent = make()
        options(agent, UDP)
        times = [at for at, _ in run(agent, 100)]
        assert times == [0.5, 1.5, 3.5, 7.5, 11.5, 15.5, 19.5, 23.5, 27.5, 31.5]
        assert [type(event) for event in events(agent)] == [RequestFailed]
        assert len(agent.layer) == 0

    def test_a_provisional_response_slows_it_to_t2(self) -> None:
        agent = make()
        request = options(agent, UDP)
        answer(agent, request, 100, 0.1)
        assert [at for at, _ in run(agent, 100)] == [0.5, 4.5, 8.5, 12.5, 16.5, 20.5, 24.5, 28.5]

    def test_never_on_a_reliable_transport(self) -> None:
        agent = make()
        options(agent, TCP)
        invite(agent, TCP)
        assert run(agent, 31) == []
        agent.handle_timer(32)
        assert sorted(type(event).__name__ for event in events(agent)) == ["Failed", "RequestFailed"]

    def test_every_repetition_is_the_same_octets(self) -> None:
        agent = make()
        _, request = invite(agent, UDP)
        assert {send.data for _, send in run(agent, 31)} == {request.to_bytes()}

    def test_a_refused_invite_is_acknowledged_each_time(self) -> None:
        agent = make()
        _, request = invite(agent, UDP)
        for now in (1.0, 1.5, 2.5):
            answer(agent, request, 486, now)
            ack = sent_one(agent)
            assert isinstance(ack, Request)
            assert (ack.method, str(ack.cseq), ack.to.tag) == ("ACK", "1 ACK", "t")
            assert ack.top_via == request.top_via
        assert [type(event) for event in events(agent)] == [Failed]
        run(agent, 40)
        assert len(agent.layer) == 0

    def test_a_refusal_is_repeated_until_its_ack(self) -> None:
        agent = make()
        agent.receive(incoming("INVITE"), FLOW, 0.0)
        (received,) = events(agent)
        assert isinstance(received, InviteReceived)
        received.session.reject(486, 0.0)
        agent.to_send(0.0)
        assert [at for at, _ in run(agent, 8)] == [0.5, 1.5, 3.5, 7.5]
        agent.receive(incoming("ACK"), FLOW, 8.0)
        assert run(agent, 100) == []
        assert len(agent.layer) == 0


FLOW = Flow("UDP", HERE, THERE)


def incoming(method: str, cseq: int = 1, branch: str = "z9hG4bKx", extra: str = "") -> bytes:
    return (
        f"{method} sip:a@10.0.0.1 SIP/2.0\r\nVia: SIP/2.0/UDP 10.0.0.2;branch={branch}\r\nMax-Forwards: 70\r\n"
        f"From: <sip:b@x.test>;tag=b\r\nTo: <sip:a@x.test>\r\nCall-ID: c1\r\nCSeq: {cseq} {method}\r\n"
        f"Contact: <sip:b@10.0.0.2>\r\n{extra}Content-Length: 0\r\n\r\n"
    ).encode()


class TestServer:
    def test_a_retransmission_gets_the_same_answer_and_no_event(self) -> None:
        agent = make()
        agent.receive(incoming("OPTIONS"), FLOW, 0.0)
        (received,) = events(agent)
        assert isinstance(received, RequestReceived)
        agent.receive(incoming("OPTIONS"), FLOW, 0.5)
        assert agent.to_send(0.5) == []
        assert agent.respond(received.tx, 200, 1.0, headers=agent.capabilities)
        (first,) = agent.to_send(1.0)
        agent.receive(incoming("OPTIONS"), FLOW, 1.5)
        assert agent.to_send(1.5) == [first]
        assert events(agent) == []

    def test_nobody_answers_for_us(self) -> None:
        agent = make()
        agent.receive(incoming("OPTIONS"), FLOW, 0.0)
        (received,) = events(agent)
        assert isinstance(received, RequestReceived)
        run(agent, 33)
        assert len(agent.layer) == 0
        assert not agent.respond(received.tx, 200, 34.0)

    def test_an_answer_is_given_once(self) -> None:
        agent = make()
        agent.receive(incoming("OPTIONS"), FLOW, 0.0)
        (received,) = events(agent)
        assert isinstance(received, RequestReceived)
        assert [agent.respond(received.tx, 200, 1.0) for _ in range(2)] == [True, False]

    def test_trying_comes_after_200_ms_and_not_when_we_were_faster(self) -> None:
        agent = make()
        agent.receive(incoming("INVITE"), FLOW, 0.0)
        agent.receive(incoming("INVITE", branch="z9hG4bKy", cseq=2), FLOW, 0.0)
        _, second = events(agent)
        assert isinstance(second, InviteReceived)
        second.session.progress(180, 0.1)
        ringing = sent_one(agent)
        assert isinstance(ringing, Response)
        assert (ringing.status, ringing.cseq.number) == (180, 2)
        ((at, send),) = run(agent, 0.3)
        trying = parse_datagram(send.data)
        assert isinstance(trying, Response)
        assert (at, trying.status, trying.cseq.number, trying.to.tag) == (0.2, 100, 1, None)


class TestByeFromTheCaller:
    def ringing(self) -> tuple[Agent, InviteReceived, bytes]:
        agent = make()
        agent.receive(incoming("INVITE"), FLOW, 0.0)
        (received,) = events(agent)
        assert isinstance(received, InviteReceived)
        received.session.progress(180, 0.0)
        tag = sent_one(agent).to.tag
        bye = incoming("BYE", 2, "z9hG4bKbye", "Reason: Q.850;cause=16\r\n").replace(
            b"To: <sip:a@x.test>", f"To: <sip:a@x.test>;tag={tag}".encode()
        )
        return agent, received, bye

    def test_while_it_rings(self) -> None:
        """RFC 3261 §15.1.2: the INVITE gets a 487."""
        agent, _, bye = self.ringing()
        agent.receive(bye, FLOW, 1.0)
        answers = [parse_datagram(send.data) for send in agent.to_send(1.0)]
        assert [(answer.status, answer.cseq.method) for answer in answers if isinstance(answer, Response)] == [
            (200, "BYE"),
            (487, "INVITE"),
        ]
        (ended,) = events(agent)
        assert isinstance(ended, Ended)
        assert (ended.cause, ended.by_remote, str(ended.reason)) == ("bye", True, "Q.850;cause=16")

    def test_before_its_ack_stops_our_2xx(self) -> None:
        agent, received, bye = self.ringing()
        received.session.answer(1.0, SDP)
        agent.to_send(1.0)
        agent.receive(bye, FLOW, 1.2)
        assert sent_one(agent).cseq.method == "BYE"
        assert run(agent, 100) == []
        assert [type(event) for event in events(agent)] == [Ended]

    def test_a_callee_waits_for_the_ack_before_its_own(self) -> None:
        """RFC 3261 §15."""
        agent, received, _ = self.ringing()
        received.session.answer(1.0, SDP)
        tag = sent_one(agent).to.tag
        received.session.bye(1.1)
        assert [type(event) for event in events(agent)] == [Ended]
        assert agent.to_send(1.1) == []
        ack = incoming("ACK", 1, "z9hG4bKack").replace(b"To: <sip:a@x.test>", f"To: <sip:a@x.test>;tag={tag}".encode())
        agent.receive(ack, FLOW, 1.2)
        bye = sent_one(agent)
        assert isinstance(bye, Request)
        assert (bye.method, str(bye.uri)) == ("BYE", "sip:b@10.0.0.2")


class TestInvite:
    def test_a_repeated_2xx_is_acknowledged_again_and_accepted_once(self) -> None:
        agent = make()
        _, request = invite(agent, UDP)
        acks = []
        for now in (1.0, 1.5, 2.5):
            answer(agent, request, 200, now)
            acks += [send.data for send in agent.to_send(now)]
        assert len(acks) == 3
        assert len(set(acks)) == 1
        ack = parse_datagram(acks[0])
        assert isinstance(ack, Request)
        assert str(ack.uri) == "sip:b@10.0.0.2"
        assert ack.top_via.branch != request.top_via.branch, "RFC 3261 §17: an ACK for a 2xx is no part of it"
        assert [type(event) for event in events(agent)] == [Accepted]

    def test_cancel_has_the_branch_and_route_of_the_invite(self) -> None:
        agent = make()
        session = agent.invite(
            parse_uri("sip:b@x.test"),
            from_=parse_name_addr("<sip:a@x.test>"),
            targets=[UDP],
            now=0.0,
            offer=SDP,
            headers=(("Route", "<sip:10.0.0.2;lr>"),),
        )
        request = sent_one(agent)
        assert isinstance(request, Request)
        session.cancel(0.1)
        assert agent.to_send(0.1) == [], "RFC 3261 §9.1: not before a provisional response"
        answer(agent, request, 180, 0.2)
        cancel = sent_one(agent)
        assert isinstance(cancel, Request)
        assert (cancel.method, cancel.uri, cancel.top_via) == ("CANCEL", request.uri, request.top_via)
        assert (cancel.routes, cancel.call_id, cancel.from_, cancel.to) == (
            request.routes,
            request.call_id,
            request.from_,
            request.to,
        )
        assert str(cancel.cseq) == "1 CANCEL"

    def test_a_cancelled_invite_that_is_never_answered_is_destroyed(self) -> None:
        agent = make()
        session, request = invite(agent, UDP)
        answer(agent, request, 180, 0.2)
        session.cancel(1.0)
        run(agent, 34)
        assert len(agent.layer) == 0
        assert agent.sessions == {}

    def test_a_closed_connection_fails_what_waits_on_it(self) -> None:
        agent = make()
        _, _ = invite(agent, TCP)
        agent.flow_closed(Flow("TCP", HERE, THERE, 7), 1.0)
        assert [(event.status, event.cause) for event in events(agent) if isinstance(event, Failed)] == [
            (503, "transport")
        ]
        assert len(agent.layer) == 0

    def test_bye_in_the_dialog_is_challenged_and_sent_again(self) -> None:
        agent = make()
        session = agent.invite(
            parse_uri("sip:b@x.test"),
            from_=parse_name_addr("<sip:a@x.test>"),
            targets=[UDP],
            now=0.0,
            offer=SDP,
            login=Login("a", "secret"),
        )
        request = sent_one(agent)
        assert isinstance(request, Request)
        answer(agent, request, 200, 1.0)
        agent.to_send(1.0)
        session.bye(2.0)
        bye = sent_one(agent)
        assert isinstance(bye, Request)
        challenge = bye.reply(407)
        challenge.headers.add("Proxy-Authenticate", str(Challenge("x.test", "n1")))
        agent.receive(challenge.to_bytes(), FLOW, 2.1)
        again = sent_one(agent)
        assert isinstance(again, Request)
        assert (again.method, again.cseq.number) == ("BYE", bye.cseq.number + 1)
        assert 'username="a"' in (again.headers.get("Proxy-Authorization") or "")
        answer(agent, again, 200, 2.2)
        assert agent.sessions == agent.dialogs == {}
        assert [type(event) for event in events(agent)] == [Accepted, Ended]


class TestStreams:
    STREAM = Flow("TCP", HERE, THERE, 4)

    @pytest.mark.parametrize("size", [1, 7, 10_000])
    def test_messages_come_in_any_pieces(self, size: int) -> None:
        agent = make()
        data = b"".join(incoming("OPTIONS", branch=f"z9hG4bK{number}", cseq=number) for number in range(1, 4))
        for at in range(0, len(data), size):
            agent.receive(data[at : at + size], self.STREAM, 0.0)
        assert [type(event) for event in events(agent)] == [RequestReceived] * 3

    def test_a_ping_gets_its_pong_on_the_same_flow(self) -> None:
        agent = make()
        agent.receive(b"\r\n\r\n", self.STREAM, 0.0)
        (pong,) = agent.to_send(0.0)
        assert (pong.data, pong.target.flow) == (b"\r\n", self.STREAM)

    def test_lost_framing_is_answered_where_it_can_be_and_closed(self) -> None:
        agent = make()
        broken = incoming("OPTIONS").replace(b"Content-Length: 0", b"Content-Length: soon")
        agent.receive(broken, self.STREAM, 0.0)
        answered = sent_one(agent)
        assert isinstance(answered, Response)
        assert answered.status == 400
        assert agent.to_close() == [self.STREAM]
        assert agent.to_close() == []

    def test_a_closed_flow_is_forgotten(self) -> None:
        agent = make()
        agent.receive(b"OPTIONS", self.STREAM, 0.0)
        assert self.STREAM in agent.streams
        agent.flow_closed(self.STREAM, 1.0)
        assert agent.streams == {}


class TestRequests:
    def test_what_is_missing_is_filled_in(self) -> None:
        request = options(make(), UDP)
        assert request.from_.tag
        assert request.to.tag is None
        assert str(request.cseq) == "1 OPTIONS"
        assert request.max_forwards == 70
        assert request.call_id
        assert request.headers.get("User-Agent") == "SENT"
        assert (request.top_via.host, request.top_via.port, request.top_via.wants_rport) == ("10.0.0.1", 5060, True)

    def test_the_advertised_address_is_what_peers_see(self) -> None:
        agent = make(AgentConfig(advertise=lambda _: ("192.0.2.9", 5099)))
        _, request = invite(agent, UDP)
        assert (request.top_via.host, request.top_via.port) == ("192.0.2.9", 5099)
        assert request.headers.get("Contact") == "<sip:a@192.0.2.9:5099>"

    def test_ipv6_is_bracketed(self) -> None:
        agent = make(AgentConfig(advertise=lambda _: ("2001:db8::1", 5060)))
        _, request = invite(agent, TCP)
        assert request.headers.get("Contact") == "<sip:a@[2001:db8::1]:5060;transport=tcp>"
        assert "[2001:db8::1]:5060" in (request.headers.get("Via") or "")

    def test_all_messages_are_traced_both_ways(self) -> None:
        seen: list[Trace] = []
        agent = make(AgentConfig(trace=seen.append))
        request = options(agent, UDP)
        answer(agent, request, 200, 1.0)
        assert [(trace.direction, trace.peer.remote, trace.message.call_id) for trace in seen] == [
            ("out", THERE, request.call_id),
            ("in", THERE, request.call_id),
        ]
        assert [type(event) for event in events(agent)] == [ResponseReceived]

    def test_a_response_that_nobody_asked_for_is_counted_and_dropped(self) -> None:
        agent, other = make(), make()
        answer(agent, options(other, UDP), 200, 1.0)
        assert events(agent) == []
        assert agent.counters["responses_unmatched"] == 1
