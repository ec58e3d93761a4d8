"""The look-ups: against answers that the test makes up, and against a real DNS server on loopback."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import dns.flags
import dns.message
import dns.rcode
import dns.rrset
import pytest

from sent.sip.uri import SipUri, parse_uri
from sent.testing.clock import FakeClock
from sent.transport.resolver import DnsError, Place, ResolveError, Resolver, SystemDns
from sent.transport.targets import Naptr, Srv

Zone = dict[tuple[str, str], Any]


class FakeDns:
    def __init__(self, zone: Zone, ttl: float = 300.0) -> None:
        self.zone = zone
        self.ttl = ttl
        self.asked: list[tuple[str, str]] = []

    async def __call__(self, name: str, kind: str) -> tuple[list[Any], float]:
        self.asked.append((name, kind))
        answer = self.zone.get((name, kind), [])
        if isinstance(answer, Exception):
            raise answer
        return answer, self.ttl


def sip(text: str) -> SipUri:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    return uri


def resolver(lookup: Any, clock: Callable[[], float] | None = None) -> Resolver:
    return Resolver(clock or FakeClock(), lookup, lambda: 0.0)


async def find(zone: Zone, uri: str) -> list[tuple[str, str, int]]:
    places = await resolver(FakeDns(zone)).resolve(sip(uri))
    return [(place.transport, place.address, place.port) for place in places]


async def test_a_numeric_host_asks_nobody() -> None:
    dns_server = FakeDns({})
    found = await resolver(dns_server).resolve(sip("sip:a@10.0.0.1;transport=tcp"))
    assert found == [Place("TCP", "10.0.0.1", 5060, "10.0.0.1")]
    assert dns_server.asked == []


async def test_a_port_leaves_srv_out() -> None:
    zone: Zone = {("x.test", "A"): ["10.0.0.1"], ("x.test", "AAAA"): ["2001:db8::1"]}
    assert await find(zone, "sip:x.test:5080") == [("UDP", "10.0.0.1", 5080), ("UDP", "2001:db8::1", 5080)]


async def test_naptr_then_srv_then_addresses() -> None:
    zone: Zone = {
        ("x.test", "NAPTR"): [
            Naptr(1, 1, "s", "SIPS+D2T", "_sips._tcp.x.test"),
            Naptr(2, 1, "s", "SIP+D2U", "u.x.test"),
        ],
        ("_sips._tcp.x.test", "SRV"): [Srv(1, 0, 5061, "a.x.test"), Srv(2, 0, 5062, "b.x.test")],
        ("u.x.test", "SRV"): [Srv(1, 0, 5060, "b.x.test")],
        ("a.x.test", "A"): ["10.0.0.1"],
        ("b.x.test", "A"): ["10.0.0.2"],
    }
    assert await find(zone, "sip:x.test") == [
        ("TLS", "10.0.0.1", 5061),
        ("TLS", "10.0.0.2", 5062),
        ("UDP", "10.0.0.2", 5060),
    ]


async def test_srv_without_naptr_prefers_udp() -> None:
    zone: Zone = {
        ("_sip._udp.x.test", "SRV"): [Srv(1, 0, 5070, "a.x.test")],
        ("_sip._tcp.x.test", "SRV"): [Srv(1, 0, 5080, "a.x.test")],
        ("a.x.test", "A"): ["10.0.0.1"],
    }
    assert await find(zone, "sip:x.test") == [("UDP", "10.0.0.1", 5070)]
    assert await find(zone, "sip:x.test;transport=tcp") == [("TCP", "10.0.0.1", 5080)]


async def test_addresses_when_there_is_no_srv() -> None:
    assert await find({("x.test", "A"): ["10.0.0.1"]}, "sip:x.test") == [("UDP", "10.0.0.1", 5060)]
    assert await find({("x.test", "A"): ["10.0.0.1"]}, "sips:x.test") == [("TLS", "10.0.0.1", 5061)]


async def test_one_family_may_fail() -> None:
    zone: Zone = {("x.test", "A"): ["10.0.0.1"], ("x.test", "AAAA"): DnsError("SERVFAIL")}
    assert await find(zone, "sip:x.test:5060") == [("UDP", "10.0.0.1", 5060)]


async def test_answers_are_kept_for_their_ttl() -> None:
    clock, dns_server = FakeClock(), FakeDns({("x.test", "A"): ["10.0.0.1"]}, ttl=60)
    found = resolver(dns_server, clock)
    for _ in range(3):
        await found.resolve(sip("sip:x.test:5060"))
    assert len(dns_server.asked) == 2  # A and AAAA
    clock.advance(61)
    await found.resolve(sip("sip:x.test:5060"))
    assert dns_server.asked.count(("x.test", "A")) == 2


async def test_an_error_is_never_the_last_word() -> None:
    dns_server = FakeDns({("x.test", "A"): DnsError("no answer"), ("x.test", "AAAA"): DnsError("no answer")})
    found = resolver(dns_server)
    with pytest.raises(ResolveError) as raised:
        await found.resolve(sip("sip:x.test:5060"))
    assert raised.value.code == "transport.dns_failed"
    assert "x.test" in raised.value.message
    dns_server.zone[("x.test", "A")] = ["10.0.0.1"]
    assert len(await found.resolve(sip("sip:x.test:5060"))) == 1, "no error is cached"


async def test_a_name_that_does_not_exist() -> None:
    with pytest.raises(ResolveError) as raised:
        await find({}, "sip:nowhere.test")
    assert raised.value.code == "transport.no_such_host"


async def test_a_target_that_failed_comes_last_for_a_minute() -> None:
    clock = FakeClock()
    found = resolver(FakeDns({("x.test", "A"): ["10.0.0.1", "10.0.0.2"]}), clock)
    uri = sip("sip:x.test:5060")
    found.mark_failed((await found.resolve(uri))[0])
    assert [place.address for place in await found.resolve(uri)] == ["10.0.0.2", "10.0.0.1"]
    clock.advance(59)
    assert [place.address for place in await found.resolve(uri)] == ["10.0.0.2", "10.0.0.1"]
    clock.advance(2)
    assert [place.address for place in await found.resolve(uri)] == ["10.0.0.1", "10.0.0.2"]
    found.mark_failed(Place("UDP", "10.0.0.1", 5060))
    found.mark_working(Place("UDP", "10.0.0.1", 5060))
    assert [place.address for place in await found.resolve(uri)] == ["10.0.0.1", "10.0.0.2"]


async def test_a_server_that_never_answers_is_given_up() -> None:
    async def silent(name: str, kind: str) -> tuple[list[Any], float]:
        await asyncio.sleep(100)
        raise AssertionError

    slow = Resolver(FakeClock(), silent, lambda: 0.0, timeout=0.01)
    with pytest.raises(ResolveError, match="no answer in time"):
        await slow.resolve(sip("sip:x.test"))


class DnsServer(asyncio.DatagramProtocol):
    """A name server on loopback, with a zone written as text."""

    def __init__(self, zone: dict[tuple[str, str], list[str]]) -> None:
        self.zone = zone
        self.transport: Any = None

    def connection_made(self, transport: Any) -> None:
        self.transport = transport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        query = dns.message.from_wire(data)
        name = query.question[0].name
        kind = dns.rdatatype.to_text(query.question[0].rdtype)
        response = dns.message.make_response(query)
        response.flags |= dns.flags.RA
        text = name.to_text(omit_final_dot=True)
        if text == "broken.test":
            response.set_rcode(dns.rcode.SERVFAIL)
        elif not any(known == text for known, _ in self.zone):
            response.set_rcode(dns.rcode.NXDOMAIN)
        elif (text, kind) in self.zone:
            response.answer.append(dns.rrset.from_text_list(name, 120, "IN", kind, self.zone[text, kind]))
        self.transport.sendto(response.to_wire(), addr)


async def test_against_a_real_name_server() -> None:
    zone = {
        ("carrier.test", "NAPTR"): ['10 10 "s" "SIP+D2U" "" _sip._udp.carrier.test.'],
        ("_sip._udp.carrier.test", "SRV"): ["10 0 5070 one.carrier.test.", "20 0 5060 two.carrier.test."],
        ("one.carrier.test", "A"): ["192.0.2.1"],
        ("two.carrier.test", "A"): ["192.0.2.2"],
        ("two.carrier.test", "AAAA"): ["2001:db8::2"],
    }
    loop = asyncio.get_running_loop()
    transport, _ = await loop.create_datagram_endpoint(lambda: DnsServer(zone), local_addr=("127.0.0.1", 0))
    port = transport.get_extra_info("sockname")[1]
    try:
        found = resolver(SystemDns(("127.0.0.1",), port, lifetime=2.0))
        places = await found.resolve(sip("sip:carrier.test"))
        assert [(place.transport, place.address, place.port, place.server_name) for place in places] == [
            ("UDP", "192.0.2.1", 5070, "carrier.test"),
            ("UDP", "192.0.2.2", 5060, "carrier.test"),
            ("UDP", "2001:db8::2", 5060, "carrier.test"),
        ]
        with pytest.raises(ResolveError) as raised:
            await found.resolve(sip("sip:nobody.test"))
        assert raised.value.code == "transport.no_such_host"
        with pytest.raises(ResolveError) as raised:
            await found.resolve(sip("sip:broken.test:5060"))
        assert raised.value.code == "transport.dns_failed"
    finally:
        transport.close()
