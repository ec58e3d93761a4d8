"""Framing in streams, and keep-alive."""

from __future__ import annotations

from sent.sip.message import Request
from sent.sip.stream_parser import KeepAlive, MalformedMessage, StreamParser

HEAD = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/TCP a;branch=z9hG4bK1\r\nFrom: <sip:a>;tag=1\r\n"
    b"To: <sip:b>\r\nCall-ID: c\r\nCSeq: 7 INVITE\r\n"
)
MESSAGE = HEAD + b"Content-Length: 4\r\n\r\nv=0\r"


def test_pings_and_pongs() -> None:
    """RFC 5626 §3.5.1; a CRLF of which more may come counts as a pong until it does."""
    parser = StreamParser()
    assert parser.feed(b"\r\n\r\n") == [KeepAlive(ping=True)]
    assert parser.feed(b"\r\n") == [KeepAlive(ping=False)]
    assert parser.feed(b"\r") == []
    assert parser.feed(b"\n") == [KeepAlive(ping=True)]
    assert parser.feed(b"\r\n\r") == [KeepAlive(ping=False)]
    ping, message = parser.feed(b"\n" + MESSAGE)
    assert ping == KeepAlive(ping=True)
    assert isinstance(message, Request)
    assert parser.feed(b"\r\n") == [KeepAlive(ping=False)]
    (message,) = parser.feed(MESSAGE)
    assert isinstance(message, Request)
    assert parser.feed(b"\r\n") == [KeepAlive(ping=False)]  # a message in between: no ping of two halves


def test_a_malformed_message_between_two_good_ones() -> None:
    good, bad, last = StreamParser().feed(MESSAGE + MESSAGE.replace(b"INVITE sip", b"INVITE  sip", 1) + MESSAGE)
    assert isinstance(good, Request)
    assert isinstance(bad, MalformedMessage)
    assert (bad.fatal, bad.error.status, bad.error.method) == (False, 400, "INVITE")
    assert bad.error.headers is not None
    assert bad.error.headers.get("Call-ID") == "c"
    assert isinstance(last, Request)
    assert last == good


def test_framing_is_lost_for_good() -> None:
    parser = StreamParser()
    good, malformed = parser.feed(MESSAGE + MESSAGE.replace(b"Length: 4", b"Length: x") + MESSAGE)
    assert isinstance(good, Request)
    assert isinstance(malformed, MalformedMessage)
    assert malformed.fatal
    assert malformed.error.method == "INVITE"
    assert parser.closed
    assert parser.feed(MESSAGE) == []


def test_what_is_no_sip_at_all_is_fatal_and_not_answered() -> None:
    (malformed,) = StreamParser().feed(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n")
    assert isinstance(malformed, MalformedMessage)
    assert malformed.fatal
    assert malformed.error.headers is None


def test_without_content_length_a_stream_has_no_framing() -> None:
    """RFC 3261 §20.14."""
    (malformed,) = StreamParser().feed(HEAD + b"\r\n")
    assert isinstance(malformed, MalformedMessage)
    assert malformed.fatal
    assert "Content-Length" in malformed.error.reason


def test_a_body_may_hold_empty_lines() -> None:
    data = HEAD + b"l: 6\r\n\r\na\r\n\r\nb"
    parser = StreamParser()
    assert parser.feed(data[:-1]) == []
    (message,) = parser.feed(data[-1:] + HEAD)
    assert isinstance(message, Request)
    assert message.body == b"a\r\n\r\nb"
    (second,) = parser.feed(b"l: 0\r\n\r\n")
    assert isinstance(second, Request)
    assert second.body == b""
