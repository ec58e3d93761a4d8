"""Loads the torture messages, and replays each through the stream parser whole and octet by octet."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sent.sip.errors import RemoteProtocolError
from sent.sip.message import Request, Response
from sent.sip.parser import parse_datagram, validate
from sent.sip.stream_parser import KeepAlive, MalformedMessage, StreamParser

ROOT = Path(os.environ.get("SENT_TEST_VECTORS", Path(__file__).parents[3] / "../shared/vectors"))


def folder(name: str) -> Path:
    path = ROOT / "sip" / name
    if not path.is_dir():
        reason = f"the vectors of {name} are not beside this project (SENT_TEST_VECTORS names their folder)"
        pytest.skip(reason, allow_module_level=True)
    return path


def raw(name: str) -> bytes:
    return (folder("rfc4475") / f"{name}.dat").read_bytes()


def replay(data: bytes) -> list[Request | Response | KeepAlive | MalformedMessage]:
    """What the stream parser makes of ``data``; asserts that it does not depend on how the octets arrive (but for
    keep-alives, of which a slow one is seen twice)."""
    whole = StreamParser().feed(data)
    trickle = StreamParser()
    pieces = [item for at in range(len(data)) for item in trickle.feed(data[at : at + 1])]
    assert messages(pieces) == messages(whole)
    return whole


def messages(items: list[Request | Response | KeepAlive | MalformedMessage]) -> list[str]:
    return [describe(item) for item in items if not isinstance(item, KeepAlive)]


def describe(item: object) -> str:
    if isinstance(item, Request | Response):
        return item.to_bytes().decode("latin-1")
    if isinstance(item, MalformedMessage):
        return f"malformed {item.fatal} {item.error.status} {item.error.reason}"
    raise AssertionError(item)


def accepted(data: bytes) -> Request | Response:
    """The message, which must be valid in a datagram, survive being written and read again, and frame in a stream."""
    message = parse_datagram(data)
    validate(message)
    again = parse_datagram(message.to_bytes())
    drop = "content-length"
    assert [f for f in again.headers.fields() if f[0] != drop] == [f for f in message.headers.fields() if f[0] != drop]
    assert again.body == message.body
    streamed = [item for item in replay(data) if isinstance(item, Request | Response)]
    if message.headers.has(drop):
        assert streamed[0].headers == message.headers
        assert streamed[0].body == message.body
    return message


def accepted_request(data: bytes) -> Request:
    message = accepted(data)
    assert isinstance(message, Request)
    return message


def accepted_response(data: bytes) -> Response:
    message = accepted(data)
    assert isinstance(message, Response)
    return message


def refused(data: bytes) -> RemoteProtocolError:
    """The error of a message that no element may work on."""
    replay(data)
    with pytest.raises(RemoteProtocolError) as caught:
        validate(parse_datagram(data))
    return caught.value


def refused_request(data: bytes, status: int = 400) -> RemoteProtocolError:
    """The error of a malformed request; enough of it was read to answer with ``status``."""
    error = refused(data)
    assert error.status == status
    assert error.method is not None
    assert error.headers is not None
    assert error.headers.has("Via")
    return error
