from __future__ import annotations

from datetime import UTC, datetime

from sent.gateway.ladder_tap import LadderTap, redacted
from sent.sip.config import Trace
from sent.sip.flow import Flow
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("198.51.100.7", 5061))
AT = datetime(2026, 1, 2, tzinfo=UTC)


def pass_by(tap: LadderTap, call_id: str, method: str) -> None:
    headers = Headers([("Call-ID", call_id), ("CSeq", f"1 {method}")])
    tap.trace(Trace("in", FLOW, Request(method, SipUri("sip", "h", "102"), headers), 0.0))


def ring(tap: LadderTap, call_id: str) -> None:
    headers = Headers([("Call-ID", call_id), ("CSeq", "1 INVITE")])
    tap.trace(Trace("out", FLOW, Response(180, "Ringing", headers), 0.0))


def test_a_call_is_kept_from_its_first_invite_and_read_once():
    tap = LadderTap(wall=lambda: AT)
    pass_by(tap, "r", "REGISTER")
    for method in ("INVITE", "ACK", "BYE"):
        pass_by(tap, "one", method)
    messages, left_out = tap.take("one")
    assert [m.text.split()[0] for m in messages] == ["INVITE", "ACK", "BYE"]
    assert left_out == 0
    first = messages[0]
    assert (first.at, first.sent, first.remote, first.signalling_id) == (AT, False, "UDP 198.51.100.7:5061", "one")
    assert tap.take("one") == ([], 0)
    assert tap.take("r") == ([], 0)


def test_what_is_repeated_after_the_record_was_written_is_not_kept():
    tap = LadderTap(max_calls=2)
    pass_by(tap, "one", "INVITE")
    ring(tap, "one")
    assert len(tap.take("one")[0]) == 2
    pass_by(tap, "one", "INVITE")
    assert len(tap) == 0
    for call_id in ("two", "three"):
        tap.take(call_id)
    pass_by(tap, "one", "INVITE")
    assert len(tap) == 1, "and it is forgotten in its turn"


def test_calls_and_messages_are_bounded():
    tap = LadderTap(max_calls=2, max_messages=3)
    for call in ("one", "two", "three"):
        pass_by(tap, call, "INVITE")
        ring(tap, call)
        for method in ("ACK", "INFO", "BYE"):
            pass_by(tap, call, method)
    assert len(tap) == 2
    assert tap.take("one") == ([], 0)
    messages, left_out = tap.take("three")
    assert (len(messages), left_out) == (3, 2)


def test_a_flood_of_invites_pushes_out_no_call_and_is_bounded():
    tap = LadderTap()
    pass_by(tap, "real", "INVITE")
    ring(tap, "real")
    for n in range(5_000):
        pass_by(tap, f"flood{n}", "INVITE")
    assert len(tap) == 201
    assert len(tap.take("real")[0]) == 2


def test_credentials_and_media_keys_are_struck_out():
    text = (
        "INVITE sip:102@sent SIP/2.0\r\n"
        'Authorization: Digest username="d1",\r\n nonce="n", response="5ecre7"\r\n'
        'Proxy-Authorization: Digest response="5ecre7"\r\n'
        "CSeq: 1 INVITE\r\n\r\n"
        "a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:5ecre7KEY|2^20\r\n"
    )
    shown = redacted(text)
    assert "5ecre7" not in shown
    assert "CSeq: 1 INVITE" in shown
    assert "Authorization: Digest …" in shown
    assert "inline:…|2^20" in shown
