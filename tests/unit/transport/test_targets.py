"""RFC 3263 and RFC 2782: questions and orders, without any I/O."""

from __future__ import annotations

from collections import Counter
from random import Random

import pytest

from sent.sip.uri import SipUri, parse_uri
from sent.transport.targets import Naptr, Place, Srv, order_by_health, order_naptr, order_srv, question, srv_name


def sip(text: str) -> SipUri:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return uri


@pytest.mark.parametrize(
    ("uri", "host", "port", "transport", "default"),
    [
        ("sip:a@example.test", "example.test", None, None, "UDP"),
        ("sip:a@example.test:5070", "example.test", 5070, None, "UDP"),
        ("sip:a@example.test;transport=tcp", "example.test", None, "TCP", "TCP"),
        ("sip:a@example.test;transport=tls", "example.test", None, "TLS", "TLS"),
        ("sips:a@example.test", "example.test", None, "TLS", "TLS"),
        ("sips:a@example.test;transport=tcp", "example.test", None, "TLS", "TLS"),
        ("sip:a@example.test;maddr=10.0.0.1", "10.0.0.1", None, None, "UDP"),
        ("sip:a@[2001:db8::1]", "2001:db8::1", None, None, "UDP"),
    ],
)
def test_what_a_uri_asks(uri: str, host: str, port: int | None, transport: str | None, default: str) -> None:
    asked = question(sip(uri))
    assert (asked.host, asked.port, asked.transport, asked.default_transport) == (host, port, transport, default)


def test_numeric_hosts_are_known_as_such() -> None:
    assert question(sip("sip:[2001:DB8:0::1]")).numeric == "2001:db8::1"
    assert question(sip("sip:10.0.0.1")).numeric == "10.0.0.1"
    assert question(sip("sip:10.0.0.1.example.test")).numeric is None


def test_default_ports() -> None:
    assert question(sip("sip:x")).default_port("UDP") == 5060
    assert question(sip("sips:x")).default_port("TLS") == 5061
    assert question(sip("sip:x:99")).default_port("TLS") == 99


def test_srv_names() -> None:
    assert [srv_name(transport, "x.test") for transport in ("UDP", "TCP", "TLS", "WS")] == [
        "_sip._udp.x.test",
        "_sip._tcp.x.test",
        "_sips._tcp.x.test",
        None,
    ]


def test_naptr_by_order_then_preference_and_only_what_we_can() -> None:
    records = [
        Naptr(20, 10, "s", "SIP+D2T", "_sip._tcp.x.test."),
        Naptr(10, 50, "S", "sip+d2u", "_sip._udp.x.test."),
        Naptr(10, 20, "s", "SIPS+D2T", "_sips._tcp.x.test."),
        Naptr(5, 1, "s", "SIP+D2S", "_sip._sctp.x.test."),
        Naptr(5, 1, "u", "SIP+D2U", "."),
    ]
    every = order_naptr(records, secure=False, transports=("UDP", "TCP", "TLS"))
    assert every == [("TLS", "_sips._tcp.x.test"), ("UDP", "_sip._udp.x.test"), ("TCP", "_sip._tcp.x.test")]
    assert order_naptr(records, secure=True, transports=("UDP", "TCP", "TLS")) == every[:1]
    assert order_naptr(records, secure=False, transports=("UDP",)) == every[1:2]


def test_srv_by_priority() -> None:
    records = [Srv(20, 0, 5060, "c"), Srv(10, 0, 5060, "a"), Srv(30, 5, 5060, "d"), Srv(10, 0, 5060, "b")]
    assert [record.target for record in order_srv(records, lambda: 0.0)] == ["a", "b", "c", "d"]


def test_srv_weights_are_shares_of_the_first_place() -> None:
    records = [Srv(10, 60, 1, "most"), Srv(10, 30, 1, "some"), Srv(10, 10, 1, "few"), Srv(10, 0, 1, "spare")]
    dice = Random(1)
    first = Counter(order_srv(records, dice.random)[0].target for _ in range(10_000))
    assert abs(first["most"] - 6000) < 200
    assert abs(first["some"] - 3000) < 200
    assert abs(first["few"] - 1000) < 200
    assert first["spare"] < 20
    assert all(len(order_srv(records, dice.random)) == 4 for _ in range(100))


def test_a_single_dot_means_no_service() -> None:
    assert order_srv([Srv(0, 0, 0, ".")], lambda: 0.5) == []
    assert order_srv([Srv(0, 0, 0, "")], lambda: 0.5) == []


def test_failed_places_go_last_in_their_order_and_doubles_go_out() -> None:
    places = [Place("UDP", host, 5060) for host in ("a", "b", "c", "b", "d")]
    ordered = order_by_health(places, lambda place: place.address in {"a", "c"})
    assert [place.address for place in ordered] == ["b", "d", "a", "c"]
