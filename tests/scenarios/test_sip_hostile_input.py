"""What a UAS answers to strange, broken and excessive input, and that nothing of it stays in memory."""

from __future__ import annotations

import asyncio
import random

import pytest

from sent.sip.config import AgentConfig
from sent.sip.events import InviteReceived, RequestReceived
from sent.sip.message import Response
from sent.sip.parser import parse_datagram
from sent.testing.clock import run_virtual
from sent.testing.wire import Wire
from tests.scenarios.sip_stub import Raw, Stub
from tests.scenarios.sip_support import assert_empty

US = ("10.0.0.9", 5060)
SDP = b"v=0\r\no=- 1 1 IN IP4 10.0.0.1\r\ns=-\r\nt=0 0\r\n"


STRAY_ANSWER = (
    b"SIP/2.0 200 OK\r\nVia: SIP/2.0/UDP 10.0.0.9;branch=z9hG4bKnone\r\nFrom: <sip:a@b>;tag=1\r\n"
    b"To: <sip:a@b>;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\nContent-Length: 0\r\n\r\n"
)


def request(
    method: str = "INVITE",
    *,
    branch: str = "z9hG4bK1",
    uri: str = "sip:100@example.test",
    to_tag: str = "",
    cseq: str | None = None,
    extra: tuple[str, ...] = (),
    body: bytes = b"",
    via: str | None = None,
    max_forwards: str = "70",
) -> bytes:
    lines = [
        f"{method} {uri} SIP/2.0",
        via or f"Via: SIP/2.0/UDP 10.0.0.1:5060;rport;branch={branch}",
        f"Max-Forwards: {max_forwards}",
        "From: <sip:alice@example.test>;tag=a1",
        f"To: <sip:100@example.test>{';tag=' + to_tag if to_tag else ''}",
        "Call-ID: one@10.0.0.1",
        f"CSeq: {cseq or '1 ' + method}",
        "Contact: <sip:alice@10.0.0.1>",
        *extra,
        f"Content-Length: {len(body)}",
        "",
        "",
    ]
    return "\r\n".join(lines).encode() + body


def ask(*datagrams: bytes, config: AgentConfig | None = None) -> tuple[list[Response], Stub]:
    """Send ``datagrams`` from 10.0.0.1:5060; what came back within two seconds."""

    async def main() -> tuple[list[Response], Stub]:
        wire = Wire(seed=1)
        stub = Stub(wire, US[0], config=config)
        peer = Raw(wire, "10.0.0.1")
        for datagram in datagrams:
            peer.send(datagram, US)
            await asyncio.sleep(0.05)
        await asyncio.sleep(2)
        for event in stub.invites:
            event.session.end(stub.now(), status=480)
        stub.port.touch()
        answers = [parse_datagram(data) for data in peer.heard]
        await asyncio.sleep(110)
        assert_empty(stub.agent)
        await stub.port.close()
        return [answer for answer in answers if isinstance(answer, Response)], stub

    return run_virtual(main())


@pytest.mark.parametrize(
    ("datagram", "status", "header"),
    [
        (request("BYE", to_tag="nobody"), 481, None),
        (request("BYE"), 481, None),
        (request("UPDATE", to_tag="nobody"), 481, None),
        (request("INVITE", to_tag="nobody"), 481, None),
        (request("CANCEL"), 481, None),
        (request("PRACK"), 481, None),
        (request("FLY"), 501, ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE")),
        (request("REFER"), 405, ("Allow", "INVITE, ACK, CANCEL, BYE, OPTIONS, INFO, PRACK, UPDATE")),
        (request(extra=("Require: telepathy, 100rel",)), 420, ("Unsupported", "telepathy")),
        (
            request(extra=("Content-Type: text/plain",), body=b"hello"),
            415,
            ("Accept", "application/sdp, multipart/mixed"),
        ),
        (
            request(extra=("Content-Type: application/sdp", "Content-Encoding: gzip"), body=SDP),
            415,
            ("Accept-Encoding", "identity"),
        ),
        (request(extra=("Accept: text/plain",)), 406, None),
        (request(max_forwards="0"), 483, None),
        (request(uri="nobodyKnowsThisScheme:totallyopaquecontent"), 416, None),
        (request(extra=("Session-Expires: 30", "Supported: timer")), 422, ("Min-SE", "90")),
        (request(extra=("X-Long: " + "a" * 60_000,)), 513, None),
        (request(extra=("X-Many: 1",) * 1_000), 513, None),
        (request().replace(b" SIP/2.0\r\nVia", b" SIP/7.0\r\nVia"), 505, None),
        (request(cseq="1 OPTIONS"), 400, None),
        (request(extra=("Call-ID: two",)), 400, None),
        (request(extra=("Session-Expires: soon",)), 400, None),
        (request(max_forwards="many"), 400, None),
    ],
)
def test_the_right_refusal(datagram: bytes, status: int, header: tuple[str, str] | None) -> None:
    answers, stub = ask(datagram, config=AgentConfig(methods=frozenset()))
    final = answers[-1]
    assert final.status == status
    assert final.to.tag
    assert final.top_via.received == "10.0.0.1"
    if header is not None:
        assert final.headers.get(header[0]) == header[1]
    assert stub.invites == []


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\r\n",
        b"\x00" * 100,
        b"hello, world\r\n\r\n",
        b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
        b"INVITE sip:x SIP/2.0\r\n",
        bytes(range(256)) * 8,
        request("ACK", to_tag="nobody"),
        request("ACK").replace(b"CSeq: 1 ACK", b"CSeq: what"),
        request(via="X-No: via"),
        request(via="Via: nonsense"),
        STRAY_ANSWER,
    ],
)
def test_silence(datagram: bytes) -> None:
    answers, stub = ask(datagram)
    assert answers == []
    assert stub.events == []


def test_the_same_request_over_two_paths_is_merged() -> None:
    """RFC 3261 §8.2.2.2."""
    answers, stub = ask(request(branch="z9hG4bK1"), request(branch="z9hG4bK2"))
    by_branch = {answer.top_via.branch: answer.status for answer in answers}
    assert by_branch["z9hG4bK2"] == 482
    assert by_branch["z9hG4bK1"] == 100
    assert len(stub.invites) == 1


def test_a_retransmission_is_absorbed_and_answered_again() -> None:
    answers, stub = ask(*[request()] * 5)
    assert len(stub.invites) == 1
    assert [answer.status for answer in answers][:1] == [100], "after 200 ms, RFC 3261 §17.2.1"


def test_a_request_with_a_wrong_sequence_number_gets_500() -> None:
    async def main() -> None:
        wire = Wire(seed=1)

        def answer(stub: Stub, event: object) -> None:
            if isinstance(event, InviteReceived):
                event.session.answer(stub.now(), SDP)

        stub = Stub(wire, US[0], answer)
        peer = Raw(wire, "10.0.0.1")
        peer.send(request(cseq="10 INVITE"), US)
        await asyncio.sleep(0.1)
        ok = parse_datagram(peer.heard[0])
        tag = ok.to.tag or ""
        peer.send(request("ACK", cseq="10 ACK", to_tag=tag, branch="z9hG4bK5"), US)
        peer.send(request("INFO", cseq="9 INFO", to_tag=tag, branch="z9hG4bK6"), US)
        await asyncio.sleep(0.1)
        assert peer.start_lines[-1] == "SIP/2.0 500 CSeq out of order"
        peer.send(request("BYE", cseq="11 BYE", to_tag=tag, branch="z9hG4bK7"), US)
        await asyncio.sleep(0.1)
        assert peer.start_lines[-1] == "SIP/2.0 200 OK"
        await asyncio.sleep(70)
        assert_empty(stub.agent)
        await stub.port.close()

    run_virtual(main())


def test_answers_go_where_the_request_came_from() -> None:
    """RFC 3581, and RFC 3261 §18.2.2 for who does not ask for it."""

    async def main() -> None:
        wire = Wire(seed=1)
        stub = Stub(wire, US[0])
        nat = Raw(wire, "203.0.113.7")
        asked = request("OPTIONS", via="Via: SIP/2.0/UDP 192.168.1.5:5060;rport;branch=z9hG4bK1")
        nat.send(asked, US)
        await asyncio.sleep(0.1)
        stub.agent.respond(stub.requests[0].tx, 200, stub.now())
        stub.port.touch()
        await asyncio.sleep(0.1)
        answer = parse_datagram(nat.heard[0])
        assert answer.top_via.received == "203.0.113.7"
        assert answer.top_via.rport == 5060
        await asyncio.sleep(40)
        assert_empty(stub.agent)
        await stub.port.close()

    run_virtual(main())


def test_a_flood_of_requests_that_are_challenged_fills_no_table() -> None:
    async def main() -> None:
        wire = Wire(seed=1)

        def challenge(stub: Stub, event: object) -> None:
            if isinstance(event, InviteReceived):
                event.session.reject(401, stub.now(), headers=(("WWW-Authenticate", "Digest x"),), stateless=True)
            elif isinstance(event, RequestReceived):
                stub.agent.respond(event.tx, 401, stub.now(), stateless=True)

        stub = Stub(wire, US[0], challenge)
        peer = Raw(wire, "10.0.0.1")
        for number in range(500):
            peer.send(request("REGISTER", branch=f"z9hG4bKr{number}"), US)
            peer.send(request("INVITE", branch=f"z9hG4bKi{number}"), US)
        await asyncio.sleep(0.1)
        assert_empty(stub.agent)
        assert peer.start_lines == ["SIP/2.0 401 Unauthorized"] * 1000
        await stub.port.close()

    run_virtual(main())


def test_an_escaped_line_end_is_nobodys_name() -> None:
    answers, stub = ask(request(uri="sip:%0d%0aX-Evil:%201@example.test"))
    assert [answer.status for answer in answers] == [404] * len(answers)
    assert stub.invites == []


def test_escaped_brackets_in_the_callee_stay_inside_of_our_contact() -> None:
    async def main() -> None:
        wire = Wire(seed=1)

        def ring(stub: Stub, event: object) -> None:
            if isinstance(event, InviteReceived):
                event.session.progress(180, stub.now())
                event.session.reject(486, stub.now())

        stub = Stub(wire, US[0], ring)
        peer = Raw(wire, "10.0.0.1")
        peer.send(request(uri="sip:a%3E%2C%3Csip%3Aevil@example.test"), US)
        await asyncio.sleep(0.1)
        (contact,) = parse_datagram(peer.heard[0]).contacts
        assert str(contact.uri) == "sip:a%3E,%3Csip%3Aevil@10.0.0.9:5060"
        await stub.port.close()

    run_virtual(main())


def test_full_tables_answer_503_with_retry_after() -> None:
    async def main() -> None:
        wire = Wire(seed=1)
        stub = Stub(wire, US[0], config=AgentConfig(max_sessions=10, max_transactions=20))
        peer = Raw(wire, "10.0.0.1")
        for number in range(60):
            peer.send(
                request(branch=f"z9hG4bK{number}").replace(b"one@10.0.0.1", f"call{number}@10.0.0.1".encode()), US
            )
        await asyncio.sleep(0.1)
        assert len(stub.agent.sessions) == 10
        assert len(stub.agent.layer.servers) <= 20
        refused = [parse_datagram(data) for data in peer.heard if data.startswith(b"SIP/2.0 503")]
        assert len(refused) == 50
        assert refused[0].headers.get("Retry-After") == "10"
        for event in stub.invites:
            event.session.end(stub.now())
        stub.port.touch()
        await asyncio.sleep(110)
        assert_empty(stub.agent)
        await stub.port.close()

    run_virtual(main())


def test_ten_thousand_broken_messages_leave_nothing_behind() -> None:
    """Each is a valid INVITE, BYE, REGISTER or CANCEL with some octets changed, cut out or repeated."""

    async def main() -> None:
        wire = Wire(seed=1)
        stub = Stub(wire, US[0], config=AgentConfig(ring_limit=20))
        dice = random.Random(20)
        failures: list[dict[str, object]] = []
        stub.port.loop.set_exception_handler(lambda _, context: failures.append(context))
        peer = Raw(wire, "10.0.0.1")
        for number in range(10_000):
            data = bytearray(
                request(
                    dice.choice(["INVITE", "BYE", "REGISTER", "CANCEL", "PRACK", "ACK", "UPDATE"]),
                    branch=f"z9hG4bK{number}",
                    to_tag=dice.choice(["", "x"]),
                    extra=("Content-Type: application/sdp", "Session-Expires: 1800", "RAck: 1 1 INVITE"),
                    body=SDP,
                )
            )
            for _ in range(dice.randrange(1, 6)):
                at = dice.randrange(len(data))
                match dice.randrange(3):
                    case 0:
                        data[at] = dice.randrange(256)
                    case 1:
                        del data[at : at + dice.randrange(1, 20)]
                    case _:
                        data[at:at] = data[at : at + dice.randrange(1, 40)]
            peer.send(bytes(data), US)
            if number % 100 == 0:
                await asyncio.sleep(0.1)
        await asyncio.sleep(120)
        assert failures == []
        assert stub.agent.counters["malformed"] > 1000
        assert_empty(stub.agent)
        await stub.port.close()

    run_virtual(main())
