"""RFC 4475 §3.2 to §3.4: well-formed messages that ask for something special, and what the pure core says to them."""

from __future__ import annotations

import re
from pathlib import Path

from tests.unit.sip.sip_vectors import accepted_request, accepted_response, folder, raw, refused_request

from sent.sip.digest import find_credentials, parse_credentials
from sent.sip.refusal import Abilities, refuse
from sent.sip.uri import OtherUri, SipUri

UAS = Abilities(methods=("INVITE", "ACK", "BYE", "CANCEL", "OPTIONS", "REGISTER"), extensions=("timer", "100rel"))


def test_rfc4475_3_2_1_badbranch() -> None:
    via = accepted_request(raw("badbranch")).top_via
    assert via.branch == "z9hG4bK"
    assert not via.has_rfc3261_branch  # to be matched by the rules of RFC 2543, as if it had none


def test_rfc4475_3_3_1_insuf() -> None:
    error = refused_request(raw("insuf"))
    assert "no From" in error.reason


def test_rfc4475_3_3_2_unkscm() -> None:
    request = accepted_request(raw("unkscm"))
    assert request.uri == OtherUri("nobodyknowsthisscheme", "totallyopaquecontent")
    refusal = refuse(request, UAS)
    assert refusal is not None
    assert refusal.status == 416


def test_rfc4475_3_3_3_novelsc() -> None:
    request = accepted_request(raw("novelsc"))
    assert str(request.uri) == "soap.beep://192.0.2.103:3002"
    refusal = refuse(request, UAS)
    assert refusal is not None
    assert refusal.status == 416


def test_rfc4475_3_3_4_unksm2() -> None:
    request = accepted_request(raw("unksm2"))
    assert request.to.uri == OtherUri("isbn", "2983792873")
    assert request.from_.uri == OtherUri("http", "//www.example.com")
    assert request.from_.tag == "3234233"
    assert [contact.uri for contact in request.contacts] == [OtherUri("name", "John_Smith")]
    assert refuse(request, UAS) is None  # the registrar finds that isbn: is no address of record here


def test_rfc4475_3_3_5_bext01() -> None:
    refusal = refuse(accepted_request(raw("bext01")), UAS)
    assert refusal is not None
    assert refusal.status == 420
    assert refusal.headers == (("Unsupported", "nothingsupportsthis, nothingsupportsthiseither"),)


def test_rfc4475_3_3_6_invut() -> None:
    refusal = refuse(accepted_request(raw("invut")), UAS)
    assert refusal is not None
    assert (refusal.status, refusal.headers) == (415, (("Accept", "application/sdp"),))


def test_rfc4475_3_3_7_regaut01() -> None:
    request = accepted_request(raw("regaut01"))
    values = request.headers.get_all("Authorization")
    assert parse_credentials(values[0]) is None
    assert find_credentials(values, "example.com") is None  # as if it had no Authorization: challenge it


def test_rfc4475_3_3_8_multi01() -> None:
    assert "repeated" in refused_request(raw("multi01")).reason


def test_rfc4475_3_3_9_mcl01() -> None:
    assert "several Content-Length" in refused_request(raw("mcl01")).reason


def test_rfc4475_3_3_10_bcast() -> None:
    response = accepted_response(raw("bcast"))
    assert [via.host for via in response.vias] == ["192.0.2.198", "255.255.255.255"]


def test_rfc4475_3_3_11_zeromf() -> None:
    request = accepted_request(raw("zeromf"))
    assert request.max_forwards == 0
    assert refuse(request, UAS) is None  # a UAS answers; only one that forwards says 483


def test_rfc4475_3_3_12_cparam01() -> None:
    (contact,) = accepted_request(raw("cparam01")).contacts
    assert contact.params.has("unknownparam")
    assert contact.uri == SipUri("sip", "gw1.example.net", "+19725552222")


def test_rfc4475_3_3_13_cparam02() -> None:
    (contact,) = accepted_request(raw("cparam02")).contacts
    assert not contact.params
    assert isinstance(contact.uri, SipUri)
    assert contact.uri.params.has("unknownparam")
    assert str(contact) == "<sip:+19725552222@gw1.example.net;unknownparam>"


def test_rfc4475_3_3_14_regescrt() -> None:
    (contact,) = accepted_request(raw("regescrt")).contacts
    assert isinstance(contact.uri, SipUri)
    assert contact.uri.headers == (("Route", "<sip:sip.example.com>"),)
    assert str(contact) == "<sip:user@example.com?Route=%3Csip:sip.example.com%3E>"


def test_rfc4475_3_3_15_sdp01() -> None:
    refusal = refuse(accepted_request(raw("sdp01")), UAS)
    assert refusal is not None
    assert refusal.status == 406


def test_rfc4475_3_4_1_inv2543() -> None:
    request = accepted_request(raw("inv2543"))
    assert request.top_via.branch is None
    assert request.from_.tag is None
    assert request.max_forwards is None
    assert request.contacts == []
    assert request.to.params.get("user") == "phone"
    assert request.body.endswith(b"m=audio 49217 RTP/AVP 0\r\n")
    assert refuse(request, UAS) is None


def test_rfc4475_every_message_has_its_test() -> None:
    here = Path(__file__).parent
    source = "".join((here / f"test_rfc4475_{part}.py").read_text() for part in ("torture", "semantics"))
    tested = {match[1] for match in re.finditer(r"def test_rfc4475_[0-9_]+_(\w+)\(", source)}
    assert {file.stem for file in folder("rfc4475").glob("*.dat")} == tested
    assert len(tested) == 49
