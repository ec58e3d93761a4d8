"""Input made to be slow or large. The bound is far above what linear work takes and far below what quadratic would."""

from __future__ import annotations

import time
from collections.abc import Callable

import pytest

from sent.sip.digest import parse_credentials
from sent.sip.errors import RemoteProtocolError
from sent.sip.header_values import parse_name_addr, parse_via
from sent.sip.message import Message
from sent.sip.parser import MAX_FIELDS, MAX_LINE, parse_datagram, validate
from sent.sip.stream_parser import KeepAlive, MalformedMessage, StreamParser
from sent.sip.uri import parse_uri

BASE = (
    b"INVITE sip:bob@example.com SIP/2.0\r\nVia: SIP/2.0/UDP 192.0.2.1;branch=z9hG4bKx\r\nMax-Forwards: 70\r\n"
    b"From: <sip:a@example.com>;tag=1\r\nTo: <sip:b@example.com>\r\nCall-ID: c\r\nCSeq: 1 INVITE\r\n"
)
SECONDS = 0.5


def quickly(work: Callable[[], object]) -> None:
    began = time.process_time()
    work()
    assert time.process_time() - began < SECONDS


def attempt(parse: Callable[[str], object], value: str) -> None:
    try:
        parse(value)
    except RemoteProtocolError:
        return


def whole(data: bytes) -> Message | RemoteProtocolError:
    try:
        message = parse_datagram(data)
        validate(message)
        for name, _ in message.headers:
            message.headers.get_all(name)
    except RemoteProtocolError as error:
        return error
    return message


LONG = 60_000
VALUES = [
    "," * LONG,
    ";" * LONG,
    '"' * (LONG + 1),
    '\\"' * (LONG // 2) + '"',
    '"' + '\\"' * (LONG // 2),
    "<" * LONG,
    '<"' * (LONG // 2),
    " " * LONG + "x",
    "\t " * (LONG // 2) + ":",
    "%" * LONG,
    "%41" * (LONG // 3),
    "a" * LONG,
    "a=" * (LONG // 2),
    "sip:" + "@" * LONG,
    "sip:" + ":" * LONG,
    "sip:a" + ";a" * (LONG // 2),
    "sip:a?" + "a=b&" * (LONG // 4),
    "sip:[" + ":" * LONG + "]",
    "sip:" + "1." * (LONG // 2),
    "SIP/2.0/UDP " + " " * LONG + ":",
    "SIP/2.0/UDP a" + " : " * (LONG // 3),
    "SIP" + " " * LONG + "/",
    "Digest " + 'a="' * (LONG // 3),
    "Digest " + "a=b," * (LONG // 4),
    "Digest " + ", " * (LONG // 2),
    "9" * LONG,
]


@pytest.mark.parametrize("value", VALUES, ids=lambda value: value[:12].encode("unicode_escape").decode())
@pytest.mark.parametrize("parse", [parse_name_addr, parse_via, parse_uri, parse_credentials])
def test_each_value_parser_is_linear(parse: Callable[[str], object], value: str) -> None:
    quickly(lambda: attempt(parse, value))


@pytest.mark.parametrize("name", ["Contact", "Via", "Route", "Require", "Warning", "To", "X-Unknown"])
@pytest.mark.parametrize("value", [b",", b'"', b"<", b";", b"a,", b"<sip:a>,", b'"\\', b"\r\n "])
def test_a_field_of_64_kilobytes_is_refused_in_no_time(name: str, value: bytes) -> None:
    data = BASE + name.encode() + b": " + value * (LONG // len(value)) + b"\r\n\r\n"
    quickly(lambda: whole(data))
    error = whole(data)
    assert isinstance(error, RemoteProtocolError)
    assert error.status == 513
    assert error.headers is not None
    assert error.headers.has("Via")


@pytest.mark.parametrize("value", [b",", b"<sip:a>,", b'"",', b"a;b,"])
def test_many_values_within_one_line(value: bytes) -> None:
    data = BASE + b"Contact: " + value * ((MAX_LINE - 20) // len(value)) + b"\r\n\r\n"
    quickly(lambda: whole(data))
    assert isinstance(whole(data), RemoteProtocolError)


def test_too_many_fields_are_refused_and_can_be_answered() -> None:
    error = whole(BASE + b"X: y\r\n" * MAX_FIELDS + b"\r\n")
    assert isinstance(error, RemoteProtocolError)
    assert (error.status, error.method) == (513, "INVITE")
    assert error.headers is not None
    assert len(error.headers) == MAX_FIELDS
    assert error.headers.get("Call-ID") == "c"


def test_a_long_request_line() -> None:
    error = whole(BASE.replace(b"bob", b"b" * MAX_LINE) + b"\r\n")
    assert isinstance(error, RemoteProtocolError)
    assert error.status == 414
    assert error.headers is None  # not even the method is trusted


def test_a_datagram_beyond_the_limit() -> None:
    error = whole(BASE + b"\r\n" + b"x" * 65_536)
    assert isinstance(error, RemoteProtocolError)
    assert error.status == 513


def feed_all(parser: StreamParser, chunks: list[bytes]) -> list[object]:
    out: list[object] = []

    def feed() -> None:
        for chunk in chunks:
            out.extend(parser.feed(chunk))

    quickly(feed)
    return out


class TestStream:
    def test_a_head_without_end_is_cut_off(self) -> None:
        parser = StreamParser()
        (malformed,) = feed_all(parser, [b"X: " + b"y" * 1000 + b"\r\n"] * 100)
        assert isinstance(malformed, MalformedMessage)
        assert (malformed.fatal, malformed.error.status) == (True, 513)
        assert parser.closed
        assert parser.feed(BASE) == []

    def test_a_trickle_is_linear(self) -> None:
        parser = StreamParser()
        data = BASE + b"X: " + b"y" * 8_000 + b"\r\nContent-Length: 30000\r\n\r\n" + b"z" * 30_000
        assert len(feed_all(parser, [data[at : at + 1] for at in range(len(data))])) == 1

    def test_a_body_beyond_the_limit_is_refused_before_it_arrives(self) -> None:
        (malformed,) = StreamParser().feed(BASE + b"Content-Length: 65537\r\n\r\n")
        assert isinstance(malformed, MalformedMessage)
        assert (malformed.fatal, malformed.error.status, malformed.error.method) == (True, 513, "INVITE")

    def test_a_flood_of_keep_alives_is_one(self) -> None:
        parser = StreamParser()
        assert parser.feed(b"\r\n" * 50_000) == [KeepAlive(ping=True)]

    def test_many_messages_in_one_chunk(self) -> None:
        assert len(feed_all(StreamParser(), [(BASE + b"Content-Length: 2\r\n\r\nhi") * 300])) == 300
