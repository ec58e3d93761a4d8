"""What holds for every input: round trips, one kind of error, framing that does not depend on how octets arrive."""

from __future__ import annotations

import string

from hypothesis import given
from hypothesis import strategies as st
from tests.unit.properties import bounded
from tests.unit.sip.sip_vectors import folder, messages, replay

from sent.sip import header_extras as extras
from sent.sip.digest import parse_challenge, parse_credentials
from sent.sip.errors import RemoteProtocolError
from sent.sip.grammar import quote, unquote
from sent.sip.header_values import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_rack, parse_via
from sent.sip.message import Message, Request, Response
from sent.sip.params import Params
from sent.sip.parser import parse_datagram, validate
from sent.sip.refusal import Abilities, refuse
from sent.sip.stream_parser import StreamParser
from sent.sip.uri import SipUri, equivalent, parse_uri

VECTORS = [path.read_bytes() for name in ("rfc4475", "rfc5118") for path in sorted(folder(name).iterdir())]

plain = st.text(st.characters(codec="utf-8", exclude_categories=["Cs"]), min_size=1, max_size=20)
text = st.text(st.characters(codec="utf-8", exclude_characters="\r\n"), max_size=20)
tokens = st.text(string.ascii_letters + string.digits + "-.!%*_+`'~", min_size=1, max_size=12)
hosts = st.one_of(
    st.from_regex(r"[a-z0-9]([a-z0-9-]{0,8}[a-z0-9])?(\.[a-z]([a-z0-9-]{0,8}[a-z])?)?", fullmatch=True).filter(
        lambda host: not host.isdigit()
    ),
    st.ip_addresses().map(str),
)
ports = st.none() | st.integers(1, 65_535)
uri_params = st.lists(st.tuples(plain, st.none() | plain), max_size=3).map(tuple).map(Params)
uris = st.builds(
    SipUri,
    scheme=st.sampled_from(["sip", "sips"]),
    host=hosts,
    user=st.none() | plain,
    port=ports,
    params=uri_params,
    headers=st.lists(st.tuples(plain, plain), max_size=2).map(tuple),
)
header_params = st.lists(st.tuples(tokens, st.none() | text), max_size=3).map(tuple).map(Params)


BREAKERS = [b"", b'"', b"<", b">", b",", b";", b"\r\n", b"\r\n ", b"%", b"\\", b"\0"]


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A torture message with up to four pieces cut, doubled, or replaced by what tends to break parsers."""
    data = draw(st.sampled_from(VECTORS))
    for _ in range(draw(st.integers(1, 4))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 12)))
        piece = draw(st.sampled_from([*BREAKERS, data[start:end] * 2]) | st.binary(max_size=6))
        data = data[:start] + piece + data[end:]
    return data


def read_everything(message: Message) -> None:
    """Every typed property; each may raise `RemoteProtocolError` and nothing else."""
    names = "top_via vias from_ to call_id cseq contacts contact_is_star routes record_routes paths max_forwards"
    for name in (names + " expires content_type supported require allow").split():
        try:
            getattr(message, name)
        except RemoteProtocolError:
            continue
    for name, _ in message.headers:
        try:
            message.headers.get_all(name)
        except RemoteProtocolError:
            continue
    if isinstance(message, Request):
        refuse(message, Abilities((message.method,)))


def try_message(data: bytes) -> Message | None:
    try:
        message = parse_datagram(data)
    except RemoteProtocolError as error:
        if error.headers is not None:
            Request("OPTIONS", parse_uri("sip:a"), error.headers).reply(error.status, to_tag="t").to_bytes()
        return None
    read_everything(message)
    return message


def validation_error(message: Message) -> str | None:
    try:
        validate(message)
    except RemoteProtocolError as error:
        assert (error.headers is None) == isinstance(message, Response)  # noqa: PT017 - both outcomes are compared
        return error.reason
    return None


@given(st.binary(max_size=300))
@bounded
def test_arbitrary_octets(data: bytes) -> None:
    try_message(data)
    try_message(b"OPTIONS sip:a SIP/2.0\r\n" + data + b"\r\n\r\n")
    try_message(b"SIP/2.0 200 OK\r\nVia: " + data + b"\r\nTo: " + data + b"\r\nContact: " + data + b"\r\n\r\n")


@given(mutated())
@bounded
def test_mutated_torture_messages(data: bytes) -> None:
    message = try_message(data)
    if message is None:
        return
    again = parse_datagram(message.to_bytes())
    assert again.body == message.body
    if isinstance(message, Request) and isinstance(again, Request):
        assert (again.method, again.uri) == (message.method, message.uri)
    drop = "content-length"
    assert [f for f in again.headers.fields() if f[0] != drop] == [f for f in message.headers.fields() if f[0] != drop]
    assert validation_error(again) == validation_error(message)


@given(mutated() | st.binary(max_size=100), mutated(), st.lists(st.integers(1, 400), max_size=6))
@bounded
def test_a_stream_does_not_depend_on_how_it_is_cut(first: bytes, second: bytes, cuts: list[int]) -> None:
    data = first + second
    parser = StreamParser()
    pieces = []
    for cut in cuts:
        pieces += parser.feed(data[:cut])
        data = data[cut:]
    pieces += parser.feed(data)
    assert messages(pieces) == messages(StreamParser().feed(first + second))


@given(mutated())
@bounded
def test_a_stream_octet_by_octet(data: bytes) -> None:
    replay(data)


@given(uris)
@bounded
def test_uris_round_trip(uri: SipUri) -> None:
    again = parse_uri(str(uri))
    assert again == uri
    assert equivalent(again, uri)
    assert str(uri).isascii()


@given(uris, text, header_params)
@bounded
def test_addresses_round_trip(uri: SipUri, display: str, params: Params) -> None:
    address = NameAddr(uri, display, params)
    assert parse_name_addr(str(address)) == address


@given(tokens, hosts, ports, header_params)
@bounded
def test_vias_round_trip(transport: str, host: str, port: int | None, params: Params) -> None:
    via = Via(transport.upper(), host, port, params)
    assert parse_via(str(via)) == via


@given(st.integers(0, 2**31 - 1), tokens)
@bounded
def test_cseqs_round_trip(number: int, method: str) -> None:
    assert parse_cseq(str(CSeq(number, method))) == CSeq(number, method)


@given(text)
@bounded
def test_quoting_round_trips(value: str) -> None:
    quoted = quote(value)
    assert unquote(quoted[1:-1]) == value
    assert "\r" not in quote(value + "\r\nEvil: yes")


PARSERS = (
    parse_uri,
    parse_name_addr,
    parse_via,
    parse_cseq,
    parse_rack,
    extras.parse_reason,
    extras.parse_warning,
    extras.parse_session_expires,
    extras.parse_min_se,
    extras.parse_replaces,
    extras.parse_retry_after,
    extras.parse_media_type,
    parse_challenge,
    parse_credentials,
)


@given(st.text(max_size=60) | st.text('sip:@<>;,="\\ \t%[]()*/0aé', max_size=60))
@bounded
def test_value_parsers_raise_one_kind_of_error(value: str) -> None:
    for parse in PARSERS:
        try:
            parsed = parse(value)
        except RemoteProtocolError:
            continue
        if parsed is not None and not isinstance(parsed, int):
            assert parse(str(parsed)) == parsed
