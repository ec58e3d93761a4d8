"""RFC 4475 §3.1: what is valid must be understood, what is invalid refused. One test per message, by its name."""

from __future__ import annotations

from tests.unit.sip.sip_vectors import accepted_request, accepted_response, raw, refused, refused_request, replay

from sent.sip.message import Request
from sent.sip.stream_parser import KeepAlive, MalformedMessage
from sent.sip.uri import SipUri, equivalent, parse_uri


def sip(uri: object) -> SipUri:
    assert isinstance(uri, SipUri)
    return uri


class TestValidMessages:
    """§3.1.1"""

    def test_rfc4475_3_1_1_1_wsinv(self) -> None:
        request = accepted_request(raw("wsinv"))
        assert request.method == "INVITE"
        assert sip(request.uri).params.has("unknownparam")
        assert (str(request.to.uri), request.to.tag) == ("sip:vivekg@chair-dnrc.example.com", "1918181833n")
        assert (request.from_.display, request.from_.tag) == ('J Rosenberg \\"', "98asjd8")
        assert request.max_forwards == 68
        assert (request.cseq.number, request.cseq.method) == (9, "INVITE")
        assert [(via.transport, via.host, via.branch) for via in request.vias] == [
            ("UDP", "192.0.2.2", "390skdjuw"),
            ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
            ("UDP", "192.168.255.111", "z9hG4bK30239"),
        ]
        assert request.headers.get("Subject") == ""
        assert request.headers.get("newfangledheader") == "newfangled value continued newfangled value"
        assert request.headers.get_all("UnknownHeaderWithUnusualValue") == [";;,,;;,;"]
        (route,) = request.routes
        assert sip(route.uri).params.items == (("lr", None), ("unknownwith", "value"), ("unknown-no-value", None))
        (contact,) = request.contacts
        assert (contact.display, contact.params.get("newparam"), contact.q) == ('Quoted string ""', "newvalue", 0.33)
        assert contact.params.has("secondparam")
        assert len(request.body) == 150

    def test_rfc4475_3_1_1_2_intmeth(self) -> None:
        request = accepted_request(raw("intmeth"))
        assert request.method == request.cseq.method == "!interesting-Method0123456789_*+`.%indeed'~"
        uri = sip(request.uri)
        assert uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
        assert uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
        assert uri.host == "example.com"
        assert str(uri).encode() in raw("intmeth")
        assert request.to.display == "BEL:\ufffd NUL:\ufffd DEL:\ufffd"  # understood, and kept from doing harm
        assert request.from_.display == "token1~` token2'+_ token3*%!.-"
        assert request.from_.params.get("fromParam''~+*_!.-%") == "работающий"
        assert request.from_.tag == "_token~1'+`*%!-."
        assert request.call_id == "intmeth.word%ZK-!.*_+'@word`~)(><:\\/\"][?}{"
        assert request.top_via.branch == "z9hG4bK-.!%66*_+`'~"
        assert request.max_forwards == 255
        assert request.headers.get("extensionHeader-!.%*+_`'~") == "\ufeff大停電"

    def test_rfc4475_3_1_1_3_esc01(self) -> None:
        request = accepted_request(raw("esc01"))
        assert sip(request.uri).user == "sips:user@example.com"
        assert sip(request.uri).host == "example.net"
        assert equivalent(request.to.uri, parse_uri("sip:user@example.com"))
        assert sip(request.from_.uri).user == "I have spaces"
        assert str(request.from_.uri) == "sip:I%20have%20spaces@example.net"
        contact = sip(request.contacts[0].uri)
        assert contact.user == "caller"
        assert contact.params.items == (("lr", None), ("name", "value%41"))
        assert contact.params.get("n%61me") is None

    def test_rfc4475_3_1_1_4_escnull(self) -> None:
        request = accepted_request(raw("escnull"))
        assert sip(request.to.uri).user == "null-\x00-null"
        assert [sip(contact.uri).user for contact in request.contacts] == ["\x00", "\x00\x00"]
        assert str(request.contacts[1].uri) == "sip:%00%00@host5.example.com"
        assert not equivalent(request.contacts[0].uri, request.contacts[1].uri)

    def test_rfc4475_3_1_1_5_esc02(self) -> None:
        request = accepted_request(raw("esc02"))
        assert request.method == "RE%47IST%45R"  # not REGISTER: a % in a method or a header name escapes nothing
        assert request.to.display == "%Z%45"
        assert request.top_via.branch == "z9hG4bK209%fzsnel234"
        assert [sip(contact.uri).user for contact in request.contacts] == ["alias1", "alias3"]
        assert request.headers.get("C%6Fntact") == "<sip:alias2@host2.example.com>"

    def test_rfc4475_3_1_1_6_lwsdisp(self) -> None:
        request = accepted_request(raw("lwsdisp"))
        assert (request.from_.display, str(request.from_.uri)) == ("caller", "sip:caller@example.com")

    def test_rfc4475_3_1_1_7_longreq(self) -> None:
        request = accepted_request(raw("longreq"))
        hosts = [via.host for via in request.vias]
        assert hosts == [*(f"sip{number}.example.com" for number in range(33, 0, -1)), "host.example.com"]
        assert request.top_via.branch is None
        assert request.vias[-1].branch is not None
        assert request.to.display.endswith("proportion")
        assert sip(request.to.uri).port == 6000
        assert len(request.from_.tag or "") == 155
        assert request.call_id.startswith("longreq.onereallyreally")
        assert request.contacts[0].params.items == ()
        assert len(request.body) == 150

    def test_rfc4475_3_1_1_8_dblreq(self) -> None:
        request = accepted_request(raw("dblreq"))
        assert (request.method, request.body) == ("REGISTER", b"")
        register, keep_alive, invite, rest = replay(raw("dblreq"))
        assert isinstance(register, Request)
        assert register.method == "REGISTER"
        assert keep_alive == KeepAlive(ping=False)
        assert isinstance(invite, Request)
        assert invite.method == "INVITE"
        assert invite.body.endswith(b"a=rtpmap:31 LP")  # its Content-Length is short by one octet and the line end
        assert isinstance(rest, MalformedMessage)
        assert rest.fatal

    def test_rfc4475_3_1_1_9_semiuri(self) -> None:
        request = accepted_request(raw("semiuri"))
        assert sip(request.uri).user == "user;par=u@example.net"
        assert sip(request.uri).host == "example.com"
        assert request.headers.get_all("Accept") == [
            "application/sdp",
            "application/pkcs7-mime",
            "multipart/mixed",
            "multipart/signed",
            "message/sip",
            "message/sipfrag",
        ]

    def test_rfc4475_3_1_1_10_transports(self) -> None:
        request = accepted_request(raw("transports"))
        assert [via.transport for via in request.vias] == ["UDP", "SCTP", "TLS", "UNKNOWN", "TCP"]

    def test_rfc4475_3_1_1_11_mpart01(self) -> None:
        request = accepted_request(raw("mpart01"))
        assert request.method == "MESSAGE"
        assert request.content_type == "multipart/mixed"
        assert len(request.body) == 553
        assert b"Hello" in request.body
        assert b"\x00" in request.body  # binary, and not cut at it
        assert request.body.endswith(b"--7a9cbec02ceef655--\r\n")
        assert request.top_via.wants_rport
        assert request.top_via.rport is None

    def test_rfc4475_3_1_1_12_unreason(self) -> None:
        response = accepted_response(raw("unreason"))
        assert response.status == 200
        assert response.reason == "= 2**3 * 5**2 но сто девяносто девять - простое"

    def test_rfc4475_3_1_1_13_noreason(self) -> None:
        response = accepted_response(raw("noreason"))
        assert (response.status, response.reason) == (100, "")


class TestInvalidMessages:
    """§3.1.2"""

    def test_rfc4475_3_1_2_1_badinv01(self) -> None:
        refused_request(raw("badinv01"))

    def test_rfc4475_3_1_2_2_clerr(self) -> None:
        error = refused_request(raw("clerr"))
        assert "shorter than Content-Length" in error.reason
        assert replay(raw("clerr")) == []  # a stream waits for the rest

    def test_rfc4475_3_1_2_3_ncl(self) -> None:
        error = refused_request(raw("ncl"))
        assert "Content-Length" in error.reason
        (malformed,) = replay(raw("ncl"))
        assert isinstance(malformed, MalformedMessage)
        assert malformed.fatal

    def test_rfc4475_3_1_2_4_scalar02(self) -> None:
        error = refused_request(raw("scalar02"))
        assert "CSeq" in error.reason
        # With a CSeq in range, Max-Forwards is still out of it, and the expiries count as an hour.
        repaired = raw("scalar02").replace(b"36893488147419103232", b"1")
        assert "Max-Forwards" in refused_request(repaired).reason
        request = accepted_request(repaired.replace(b"Max-Forwards: 300", b"Max-Forwards: 70"))
        assert request.expires == 3600
        assert request.contacts[0].expires == 3600

    def test_rfc4475_3_1_2_5_scalarlg(self) -> None:
        error = refused(raw("scalarlg"))
        assert error.headers is None  # a response: dropped, never answered

    def test_rfc4475_3_1_2_6_quotbal(self) -> None:
        assert "quotation" in refused_request(raw("quotbal")).reason

    def test_rfc4475_3_1_2_7_ltgtruri(self) -> None:
        assert "URI" in refused_request(raw("ltgtruri")).reason
        (malformed,) = replay(raw("ltgtruri"))
        assert isinstance(malformed, MalformedMessage)
        assert not malformed.fatal  # its end is known, so the connection lives on

    def test_rfc4475_3_1_2_8_lwsruri(self) -> None:
        assert "request line" in refused_request(raw("lwsruri")).reason

    def test_rfc4475_3_1_2_9_lwsstart(self) -> None:
        assert "request line" in refused_request(raw("lwsstart")).reason

    def test_rfc4475_3_1_2_10_trws(self) -> None:
        assert "request line" in refused_request(raw("trws")).reason

    def test_rfc4475_3_1_2_11_escruri(self) -> None:
        assert "Request-URI" in refused_request(raw("escruri")).reason

    def test_rfc4475_3_1_2_12_baddate(self) -> None:
        # The RFC lets an element ignore a Date that it has no use for.
        request = accepted_request(raw("baddate"))
        assert request.headers.get("Date") == "Fri, 01 Jan 2010 16:00:00 EST"

    def test_rfc4475_3_1_2_13_regbadct(self) -> None:
        assert "<>" in refused_request(raw("regbadct")).reason

    def test_rfc4475_3_1_2_14_badaspec(self) -> None:
        refused_request(raw("badaspec"))

    def test_rfc4475_3_1_2_15_baddn(self) -> None:
        assert "display name" in refused_request(raw("baddn")).reason

    def test_rfc4475_3_1_2_16_badvers(self) -> None:
        refused_request(raw("badvers"), 505)

    def test_rfc4475_3_1_2_17_mismatch01(self) -> None:
        assert "CSeq" in refused_request(raw("mismatch01")).reason

    def test_rfc4475_3_1_2_18_mismatch02(self) -> None:
        error = refused_request(raw("mismatch02"))
        assert error.method == "NEWMETHOD"

    def test_rfc4475_3_1_2_19_bigcode(self) -> None:
        error = refused(raw("bigcode"))
        assert error.method is None
        assert error.headers is None
