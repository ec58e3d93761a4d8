"""Digest, RFC 3261 §22 and RFC 7616 §3.3 to §3.4.6, against a clock that the test moves."""

from __future__ import annotations

import asyncio
from uuid import UUID

import pytest

from sent.gateway.authentication import Authentication, Caller, Challenged, Denied
from sent.gateway.flood import FloodGuard
from sent.identity.models import DeviceCredential, DigestAlgorithm
from sent.sip.digest import Challenge, ha1, make_response, parse_challenge
from sent.sip.errors import RemoteProtocolError
from sent.sip.flow import Flow
from sent.sip.headers import Headers
from sent.sip.message import Request
from sent.sip.nonce import NonceBook
from sent.sip.uri import SipUri

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 40000))
ALICE = DeviceCredential(
    UUID(int=1), UUID(int=2), "Alice", UUID(int=3), "Desk", "alice", DigestAlgorithm.MD5,
    {a: ha1("alice", "sent", "secret", a.value) for a in DigestAlgorithm}, disabled=False,
)  # fmt: skip


class Server:
    def __init__(self) -> None:
        self.now = 1000.0
        self.flood = FloodGuard()
        nonces = NonceBook(b"n" * 32, lifetime=60.0)
        self.authentication = Authentication("sent", self, self, nonces, self.flood)

    async def find(self, sip_username: str) -> DeviceCredential | None:
        return ALICE if sip_username == "alice" else None

    async def extensions_of(self, organization_id: UUID, user_id: UUID) -> list[str]:
        return ["101", "111"]

    def ask(self, request: Request) -> Caller | Challenged | Denied:
        return asyncio.run(self.authentication.authenticate(request, FLOW, lambda: self.now))


def invite(authorization: str | None = None, *, sender: str = "101", callee: str = "102") -> Request:
    via = ("Via", "SIP/2.0/UDP 10.0.0.2;branch=z9hG4bK1")
    headers = Headers([via, ("From", f"<sip:{sender}@sent>;tag=1"), ("To", "<sip:102@sent>")])
    if authorization is not None:
        headers.add("Proxy-Authorization", authorization)
    return Request("INVITE", SipUri("sip", "sent", callee), headers)


def challenge_of(answer: object) -> Challenge:
    assert isinstance(answer, Challenged)
    found = parse_challenge(answer.header[1])
    assert found is not None
    return found


def signed(challenge: Challenge, *, nc: int = 1, password: str = "secret", user: str = "alice") -> str:
    uri = "sip:102@sent"
    return str(make_response(challenge, method="INVITE", uri=uri, username=user, cnonce="c", nc=nc, password=password))


def test_a_good_answer_is_a_caller_with_its_number():
    server = Server()
    challenge = challenge_of(server.ask(invite()))
    caller = server.ask(invite(signed(challenge)))
    assert isinstance(caller, Caller)
    assert (caller.number, caller.name, caller.user_id) == ("101", "Alice", ALICE.user_id)
    shown = server.ask(invite(signed(challenge, nc=2), sender="111"))
    assert isinstance(shown, Caller)
    assert shown.number == "111"
    by_name = server.ask(invite(signed(challenge, nc=3), sender="alice"))
    assert isinstance(by_name, Caller)
    assert by_name.number == "101"


def test_an_old_nonce_is_challenged_again_as_stale():
    server = Server()
    challenge = challenge_of(server.ask(invite()))
    server.now += 61.0
    again = challenge_of(server.ask(invite(signed(challenge))))
    assert again.stale
    assert isinstance(server.ask(invite(signed(again))), Caller)


def test_a_replayed_count_is_challenged_again():
    server = Server()
    challenge = challenge_of(server.ask(invite()))
    assert isinstance(server.ask(invite(signed(challenge))), Caller)
    assert challenge_of(server.ask(invite(signed(challenge)))).nonce != challenge.nonce
    assert isinstance(server.ask(invite(signed(challenge, nc=2))), Caller)


def test_a_nonce_of_another_server_is_stale_only_with_the_right_password():
    server = Server()
    foreign = Challenge("sent", "made-elsewhere")
    assert challenge_of(server.ask(invite(signed(foreign)))).stale
    assert not challenge_of(server.ask(invite(signed(foreign, password="guess")))).stale


def test_a_wrong_password_and_an_unknown_user_look_the_same():
    server = Server()
    challenge = challenge_of(server.ask(invite()))
    wrong = challenge_of(server.ask(invite(signed(challenge, password="guess"))))
    unknown = challenge_of(server.ask(invite(signed(challenge, user="bob"))))
    assert (wrong.realm, wrong.algorithm, wrong.qop, wrong.stale) == (
        unknown.realm, unknown.algorithm, unknown.qop, unknown.stale,
    )  # fmt: skip


def test_a_digest_made_for_another_number_is_refused():
    server = Server()
    challenge = challenge_of(server.ask(invite()))
    denied = server.ask(invite(signed(challenge), callee="9009001234567"))
    assert isinstance(denied, Denied)
    assert denied.status == 400


def test_another_realms_credentials_count_as_none_and_malformed_ones_raise():
    server = Server()
    assert challenge_of(server.ask(invite(signed(Challenge("elsewhere", "n"))))).realm == "sent"
    with pytest.raises(RemoteProtocolError):
        server.ask(invite('Digest username="alice", realm="sent"'))
