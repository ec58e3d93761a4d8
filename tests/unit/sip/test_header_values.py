"""Typed header values: forms that are met, canonical text, and what is refused."""

from __future__ import annotations

import pytest

from sent.sip.errors import RemoteProtocolError
from sent.sip.header_extras import (
    MediaType,
    Reason,
    Replaces,
    SessionExpires,
    Warning,  # noqa: A004 - the RFC's name
    parse_media_type,
    parse_min_se,
    parse_reason,
    parse_replaces,
    parse_retry_after,
    parse_session_expires,
    parse_warning,
)
from sent.sip.header_values import CSeq, RAck, parse_cseq, parse_name_addr, parse_rack, parse_via


class TestNameAddr:
    @pytest.mark.parametrize(
        ("text", "display", "uri", "tag"),
        [
            ("sip:a@b;tag=1", "", "sip:a@b", "1"),
            ("<sip:a@b;x=y>;tag=1", "", "sip:a@b;x=y", "1"),
            ('"A. G. Bell" <sip:a@b> ; tag = 1', "A. G. Bell", "sip:a@b", "1"),
            ("Anonymous <sip:c8oqz84zk7z@privacy.org>;tag=hyh8", "Anonymous", "sip:c8oqz84zk7z@privacy.org", "hyh8"),
            ('"a<b>,c;d"<sip:a@b>', "a<b>,c;d", "sip:a@b", None),
            ("Zoë (Desk) <sip:a@b>", "Zoë (Desk)", "sip:a@b", None),
            ("<tel:+4930;phone-context=x>;tag=2", "", "tel:+4930;phone-context=x", "2"),
            ('"" <sip:a@b>', "", "sip:a@b", None),
            ('<sip:a@b>;tag="quoted"', "", "sip:a@b", "quoted"),
        ],
    )
    def test_forms(self, text: str, display: str, uri: str, tag: str | None) -> None:
        address = parse_name_addr(text)
        assert (address.display, str(address.uri), address.tag) == (display, uri, tag)
        assert parse_name_addr(str(address)) == address

    @pytest.mark.parametrize(
        "text",
        [
            "",
            " ",
            "<>",
            "<sip:a",
            "sip:a>",
            '"x" sip:a',
            '"x <sip:a>',
            "a, b <sip:a>",
            "<sip:a> x",
            "<sip:a>;",
            "*",
            "<sip:a>;;tag=1",
            "<sip:a>;tag=",
            '<sip:a>;tag="x',
            '<sip:a>;tag="x"y',
            "<sip:a>;ta g=1",
            "sip:a?x=y",
        ],
    )
    def test_refused(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError):
            parse_name_addr(text)

    @pytest.mark.parametrize(
        ("params", "expires", "q"),
        [
            ("", None, 1.0),
            (";expires=0;q=0", 0, 0.0),
            (";expires=60;q=0.25", 60, 0.25),
            (";q=1.000", None, 1.0),
            (";expires=x;q=2", 3600, 1.0),
            (";expires=99999999999;q=.5", 3600, 1.0),
            (";expires", None, 1.0),
        ],
    )
    def test_contact_parameters(self, params: str, expires: int | None, q: float) -> None:
        contact = parse_name_addr(f"<sip:a@b>{params}")
        assert (contact.expires, contact.q) == (expires, q)

    def test_values_that_need_quotes_get_them(self) -> None:
        address = parse_name_addr("<sip:a@b>").with_tag("a b")
        assert str(address) == '<sip:a@b>;tag="a b"'


class TestVia:
    def test_parts(self) -> None:
        via = parse_via("SIP/2.0/tls  [2001:db8::1] : 5061 ; branch=z9hG4bKa;rport=5070;received=192.0.2.9")
        assert (via.transport, via.host, via.port) == ("TLS", "2001:db8::1", 5061)
        assert (via.branch, via.rport, via.received, via.wants_rport) == ("z9hG4bKa", 5070, "192.0.2.9", True)
        assert via.has_rfc3261_branch
        assert str(via) == "SIP/2.0/TLS [2001:db8::1]:5061;branch=z9hG4bKa;rport=5070;received=192.0.2.9"

    def test_rport_is_asked_for_and_filled_in(self) -> None:
        via = parse_via("SIP/2.0/UDP a;rport")
        assert via.wants_rport
        assert via.rport is None
        assert parse_via("SIP/2.0/UDP a;rport=x").rport is None
        assert not parse_via("SIP/2.0/UDP a").wants_rport

    @pytest.mark.parametrize(
        "text",
        [
            "",
            "SIP/2.0/UDP",
            "SIP/2.0/UDP ",
            "SIP/1.0/UDP a",
            "SIP/2.0 a",
            "SIP/2.0/UDP a b",
            "SIP/2.0/UDP a:",
            "UDP a",
            "SIP/2.0/UDP a;",
            "SIP/2.0/UDP a;;b",
            "SIP/2.0/UDP a, SIP/2.0/UDP b",
            "SIP/2.0/UDP a : b : 1",
        ],
    )
    def test_refused(self, text: str) -> None:
        with pytest.raises(RemoteProtocolError):
            parse_via(text)


class TestNumbers:
    def test_cseq_and_rack(self) -> None:
        assert parse_cseq("0009 \t INVITE") == CSeq(9, "INVITE")
        assert parse_cseq("2147483647 X").number == 2**31 - 1
        assert parse_rack("776656 1 INVITE") == RAck(776656, 1, "INVITE")
        for text in ("", "1", "INVITE", "2147483648 X", "-1 X", "+1 X", "1 X Y", "1 X\x00", "٣ X", "9" * 5000 + " X"):
            with pytest.raises(RemoteProtocolError):
                parse_cseq(text)
        for text in ("1 INVITE", "1 2 3 INVITE", "x 1 INVITE", "1 2147483648 INVITE", "1 1 <"):
            with pytest.raises(RemoteProtocolError):
                parse_rack(text)

    @pytest.mark.parametrize(
        ("text", "seconds"),
        [
            ("120", 120),
            ("18000;duration=3600", 18000),
            ("120 (I'm in a meeting)", 120),
            (" 5 ", 5),
            ("9" * 24, 86400),
            (None, None),
            ("", None),
            ("soon", None),
            ("-1", None),
            ("5 minutes", None),
        ],
    )
    def test_retry_after(self, text: str | None, seconds: int | None) -> None:
        assert parse_retry_after(text) == seconds


class TestExtras:
    def test_reason(self) -> None:
        reason = parse_reason('Q.850 ;cause=17 ; text="User busy"')
        assert reason == Reason("Q.850", 17, "User busy")
        assert str(reason) == 'Q.850;cause=17;text="User busy"'
        assert parse_reason("SIP") == Reason("SIP")
        for text in ("", "S IP", "SIP;cause=x", "SIP;cause=1000", 'SIP;text="x'):
            with pytest.raises(RemoteProtocolError):
                parse_reason(text)

    def test_warning(self) -> None:
        warning = parse_warning('305 isi.edu:5060 "Incompatible \\"format\\""')
        assert warning == Warning(305, "isi.edu:5060", 'Incompatible "format"')
        assert parse_warning(str(warning)) == warning
        for text in ('1812 overture "In Progress"', "305 a b", '305 "x"', '305 a "x" y', '305 a "x'):
            with pytest.raises(RemoteProtocolError):
                parse_warning(text)

    def test_session_timers(self) -> None:
        assert parse_session_expires("1800;Refresher=UAC") == SessionExpires(1800, "uac")
        assert str(parse_session_expires("90")) == "90"
        assert str(SessionExpires(90, "uas")) == "90;refresher=uas"
        assert parse_min_se("90;x=y") == 90
        for text in ("", "x", "90;refresher=me", "-1"):
            with pytest.raises(RemoteProtocolError):
                parse_session_expires(text)

    def test_replaces(self) -> None:
        replaces = parse_replaces("425928@bobster.example.org ;to-tag=7743;from-tag=6472;early-only")
        assert replaces == Replaces("425928@bobster.example.org", "7743", "6472", early_only=True)
        assert parse_replaces(str(replaces)) == replaces
        for text in ("", "a", "a;to-tag=1", ";to-tag=1;from-tag=2", "a;to-tag;from-tag=2"):
            with pytest.raises(RemoteProtocolError):
                parse_replaces(text)

    def test_media_type(self) -> None:
        media = parse_media_type('Multipart / Mixed ; boundary="a b"')
        assert (media.name, media.params.get("boundary")) == ("multipart/mixed", "a b")
        assert parse_media_type("application/*") == MediaType("application/*")
        for text in ("", "application", "/sdp", "application/", "a b/c"):
            with pytest.raises(RemoteProtocolError):
                parse_media_type(text)
