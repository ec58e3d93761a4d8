"""RFC 5118 §4: IPv6 in SIP. The SDP bodies of §4.6 and §4.8 are asserted in ``tests/unit/sdp`` too."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.unit.sip.sip_vectors import accepted_request, folder, refused_request

from sent.sip.message import Request
from sent.sip.uri import SipUri, equivalent


def raw(name: str) -> bytes:
    return (folder("rfc5118") / name).read_bytes()


def target(request: Request) -> tuple[str | None, str, int | None]:
    assert isinstance(request.uri, SipUri)
    return request.uri.user, request.uri.host, request.uri.port


def test_rfc5118_4_1_ipv6_good() -> None:
    request = accepted_request(raw("ipv6-good"))
    assert target(request) == (None, "2001:db8::10", None)
    assert str(request.uri) == "sip:[2001:db8::10]"
    assert (request.top_via.host, request.top_via.port) == ("2001:db8::9:1", None)
    (contact,) = request.contacts
    assert (contact.display, str(contact.uri)) == ("Caller", "sip:caller@[2001:db8::1]")


def test_rfc5118_4_2_ipv6_bad() -> None:
    error = refused_request(raw("ipv6-bad"))
    assert error.method == "REGISTER"


def test_rfc5118_4_3_port_ambiguous() -> None:
    # The digits were meant as a port; to a parser they are part of the address, and the port is the default one.
    request = accepted_request(raw("port-ambiguous"))
    assert target(request) == (None, "2001:db8::10:5070", None)


def test_rfc5118_4_4_port_unambiguous() -> None:
    request = accepted_request(raw("port-unambiguous"))
    assert target(request) == (None, "2001:db8::10", 5070)


def test_rfc5118_4_5_via_received_param_with_delim() -> None:
    via = accepted_request(raw("via-received-param-with-delim")).top_via
    assert (via.host, via.received) == ("2001:db8::9:1", "2001:db8::9:255")
    assert str(via) == "SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z9hG4bKas3-111"


def test_rfc5118_4_5_via_received_param_no_delim() -> None:
    via = accepted_request(raw("via-received-param-no-delim")).top_via
    assert (via.host, via.received) == ("2001:db8::9:1", "2001:db8::9:255")
    assert str(via) == "SIP/2.0/UDP [2001:db8::9:1];received=2001:db8::9:255;branch=z9hG4bKas3"


def test_rfc5118_4_6_ipv6_in_sdp() -> None:
    request = accepted_request(raw("ipv6-in-sdp"))
    assert target(request) == ("user", "2001:db8::10", None)
    assert b"c=IN IP6 2001:db8::20\r\n" in request.body
    assert len(request.body) == 241


def test_rfc5118_4_7_mult_ip_in_header() -> None:
    request = accepted_request(raw("mult-ip-in-header"))
    assert [(via.transport, via.host, via.port, via.received) for via in request.vias] == [
        ("UDP", "2001:db8::9:1", 6050, None),
        ("UDP", "192.0.2.1", None, None),
        ("TCP", "2001:db8::9:255", None, "192.0.2.200"),
    ]


def test_rfc5118_4_8_mult_ip_in_sdp() -> None:
    request = accepted_request(raw("mult-ip-in-sdp"))
    assert request.content_type == "application/sdp"
    assert len(request.body) == 181


def test_rfc5118_4_9_ipv4_mapped_ipv6() -> None:
    request = accepted_request(raw("ipv4-mapped-ipv6"))
    assert [(via.host, via.port) for via in request.vias] == [("::ffff:192.0.2.10", 19823), ("::ffff:192.0.2.2", None)]
    assert str(request.contacts[0].uri) == "sip:ted@[::ffff:192.0.2.2]"


def test_rfc5118_4_10_ipv6_bug_abnf_3_colons() -> None:
    # What the grammar of RFC 3261 produced by mistake is understood, and never sent on.
    request = accepted_request(raw("ipv6-bug-abnf-3-colons"))
    assert target(request) == ("user", "2001:db8::192.0.2.1", None)
    assert str(request.uri) == "sip:user@[2001:db8::192.0.2.1]"


def test_rfc5118_4_10_ipv6_correct_abnf_2_colons() -> None:
    request = accepted_request(raw("ipv6-correct-abnf-2-colons"))
    assert target(request) == ("user", "2001:db8::192.0.2.1", None)
    assert equivalent(request.uri, accepted_request(raw("ipv6-bug-abnf-3-colons")).uri)


def test_rfc5118_every_message_has_its_test() -> None:
    source = Path(__file__).read_text()
    tested = {match[1].replace("_", "-") for match in re.finditer(r"def test_rfc5118_4_[0-9]+_(\w+)\(", source)}
    files = {path.name for path in folder("rfc5118").iterdir()}
    assert {name.removesuffix(".dat") for name in files} == tested
    assert len(tested) == 12


@pytest.mark.parametrize("host", ["[2001:db8::1", "2001:db8::1]", "[]", "[::1%eth0]", "[1:2:3]", "[:::1]", "[::g]"])
def test_rfc5118_other_broken_references_are_refused(host: str) -> None:
    refused_request(raw("ipv6-good").replace(b"[2001:db8::10]", host.encode()))
