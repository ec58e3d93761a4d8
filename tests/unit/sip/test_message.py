"""Headers, messages, the datagram parser, replies and refusals."""

from __future__ import annotations

import pytest

from sent.sip.errors import LocalProtocolError, RemoteProtocolError
from sent.sip.headers import MAX_LIST_VALUES, Headers
from sent.sip.message import Request, Response, reply_to
from sent.sip.parser import is_keep_alive, parse_datagram, validate
from sent.sip.refusal import Abilities, refuse
from sent.sip.status import reason_phrase
from sent.sip.uri import parse_uri

INVITE = b"""INVITE sip:bob@example.com SIP/2.0\r
v: SIP/2.0/UDP a;branch=z9hG4bK1 , SIP/2.0/TCP b;branch=z9hG4bK2\r
Via: SIP/2.0/UDP c;branch=z9hG4bK3\r
Max-Forwards: 70\r
f: "Alice, A." <sip:alice@example.com>;tag=1\r
t: <sip:bob@example.com>\r
i: abc@host\r
CSeq: 7 INVITE\r
m: <sip:alice@192.0.2.1>, "Doe, J" <sip:j@192.0.2.2>\r
Allow: INVITE, ACK,BYE\r
k: timer, 100REL\r
Subject: one, two\r
Timestamp: 54\r
c: Application/SDP ; charset=utf-8\r
l: 4\r
\r
v=0\r\n"""


def request(**replacements: bytes) -> Request:
    """The INVITE above with header lines replaced by name (``to=b""`` removes it)."""
    lines = INVITE.split(b"\r\n")
    for name, line in replacements.items():
        (at,) = [index for index, old in enumerate(lines) if old.lower().startswith(name.encode() + b":")]
        lines[at : at + 1] = [line] if line else []
    message = parse_datagram(b"\r\n".join(lines))
    assert isinstance(message, Request)
    return message


class TestHeaders:
    def test_names_have_no_case_and_a_short_form(self) -> None:
        headers = Headers([("VIA", "1"), ("v", "2"), ("x-Own", "3")])
        assert headers.get("via") == "1"
        assert headers.get_all("V") == ["1", "2"]
        assert headers.get("X-OWN") == "3"
        assert headers.has("Via")
        assert not headers.has("To")
        assert headers.items() == [("VIA", "1"), ("v", "2"), ("x-Own", "3")]

    def test_changes(self) -> None:
        headers = Headers([("Via", "1"), ("To", "t"), ("Via", "2")])
        copy = headers.copy()
        headers.prepend("Via", "0")
        assert headers.get_all("Via") == ["0", "1", "2"]
        headers.set("via", "9")
        assert headers.items() == [("via", "9"), ("To", "t")]
        headers.remove("VIA")
        headers.set("From", "f")
        assert headers.items() == [("To", "t"), ("From", "f")]
        assert copy.items() == [("Via", "1"), ("To", "t"), ("Via", "2")]
        assert copy != headers
        assert copy == Headers([("v", "1"), ("t", "t"), ("v", "2")])

    def test_only_lists_are_split(self) -> None:
        message = request()
        assert message.headers.get_all("subject") == ["one, two"]
        assert message.headers.get_all("Contact") == ["<sip:alice@192.0.2.1>", '"Doe, J" <sip:j@192.0.2.2>']
        with pytest.raises(RemoteProtocolError):
            Headers([("Allow", "," * MAX_LIST_VALUES)]).get_all("Allow")
        for unbalanced in ('a, "b', "a, <b", '"a, b" "'):
            with pytest.raises(RemoteProtocolError, match="unbalanced"):
                Headers([("Warning", unbalanced)]).get_all("Warning")

    @pytest.mark.parametrize(
        ("name", "value"), [("X", "a\r\nEvil: 1"), ("X", "a\n"), ("X\r", "a"), ("", "a"), ("X Y", "")]
    )
    def test_nothing_is_smuggled_in(self, name: str, value: str) -> None:
        headers = Headers()
        for change in (headers.add, headers.prepend, headers.set):
            with pytest.raises(LocalProtocolError):
                change(name, value)

    def test_repr_shows_no_values(self) -> None:
        assert "secret" not in repr(Headers([("Authorization", "secret")]))


class TestTypedProperties:
    def test_all(self) -> None:
        message = request()
        validate(message)
        assert [via.host for via in message.vias] == ["a", "b", "c"]
        assert message.top_via.branch == "z9hG4bK1"
        assert (message.from_.display, message.from_.tag, message.to.tag) == ("Alice, A.", "1", None)
        assert (message.call_id, message.max_forwards, message.expires) == ("abc@host", 70, None)
        assert message.allow == {"INVITE", "ACK", "BYE"}
        assert message.supported == {"timer", "100rel"}
        assert message.require == frozenset()
        assert message.content_type == "application/sdp"
        assert message.body == b"v=0\r"
        assert (message.routes, message.record_routes, message.paths) == ([], [], [])

    def test_they_follow_a_change(self) -> None:
        message = request()
        assert message.to.tag is None
        assert message.to is message.to
        message.headers.set("To", "<sip:bob@example.com>;tag=2")
        assert message.to.tag == "2"

    def test_star_contacts(self) -> None:
        message = request(m=b"Contact: *")
        assert message.contact_is_star
        assert message.contacts == []
        with pytest.raises(RemoteProtocolError, match="REGISTER"):
            validate(message)
        register = parse_datagram(
            INVITE.replace(b"INVITE", b"REGISTER").replace(b"\nm: ", b"\nExpires: 0\r\nm: *\r\nX: ")
        )
        validate(register)
        assert register.contact_is_star
        with pytest.raises(RemoteProtocolError):
            validate(request(m=b"Contact: *, <sip:a@b>"))


class TestValidate:
    @pytest.mark.parametrize(
        ("name", "line"),
        [
            ("f", b""),
            ("t", b""),
            ("i", b""),
            ("cseq", b""),
            ("t", b"To: <sip:a"),
            ("i", b"Call-ID: a b"),
            ("i", b"i:"),
            ("cseq", b"CSeq: 1 BYE"),
            ("cseq", b"CSeq: 1"),
            ("f", b"f: <sip:a>\r\nFrom: <sip:a>"),
            ("m", b"m: x"),
            ("max-forwards", b"Max-Forwards: x"),
            ("max-forwards", b"Max-Forwards: 256"),
            ("subject", b"Route: <x>"),
            ("subject", b"Record-Route: sip:a, "),
            ("via", b"Via: nonsense"),
            ("c", b"c: a/b\r\nContent-Type: a/b"),
        ],
    )
    def test_what_a_uas_demands(self, name: str, line: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            validate(request(**{name: line}))
        assert (caught.value.status, caught.value.method) == (400, "INVITE")
        assert caught.value.headers is not None

    @pytest.mark.parametrize("name", ["max-forwards", "m", "subject", "l"])
    def test_what_may_be_missing(self, name: str) -> None:
        validate(request(**{name: b""}))

    def test_no_header_value_holds_a_control_character(self) -> None:
        message = parse_datagram(INVITE.replace(b"one, two", b"a\\\x00b\\\x7f"))
        assert message.headers.get("Subject") == "a\ufffdb\ufffd"

    @pytest.mark.parametrize("user", [b"%00", b"bob%0d%0aX", b"bob%7F"])
    def test_a_target_with_control_characters_is_not_found(self, user: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            validate(parse_datagram(INVITE.replace(b"sip:bob@", b"sip:" + user + b"@", 1)))
        assert caught.value.status == 404

    def test_unreadable_text_is_latin_1(self) -> None:
        assert request(subject=b"Subject: B\xfcro").headers.get("Subject") == "Büro"


class TestDatagram:
    @pytest.mark.parametrize(
        "data",
        [
            b"",
            b"\r\n\r\n",
            b"hello",
            b"GET / HTTP/1.1\r\nHost: a\r\n\r\n",
            b"SIP/2.0 99 x\r\n\r\n",
            b"SIP/2.0 700 x\r\n\r\n",
            b"SIP/2.0\r\n\r\n",
            b"SIP/3.0 200 OK\r\n\r\n",
            b" INVITE sip:a SIP/2.0\r\n\r\n",
            b"\x16\x03\x01\r\n\r\n",
            INVITE.replace(b"\r\n", b"\n"),
            INVITE.replace(b"Subject: ", b"Subject: \n"),
            INVITE.split(b"\r\n\r\n")[0],
            INVITE.replace(b"one", b"o\x00ne"),
            INVITE.replace(b"one", b"o\rne"),
            INVITE.replace(b".0\r\n", b".0\r\n x\r\n", 1),
        ],
    )
    def test_what_is_no_message_is_not_answered(self, data: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_datagram(data)
        assert caught.value.headers is None

    @pytest.mark.parametrize("line", [b"no colon", b": empty", b"sp ace: x", b"\xc3\xa4: x"])
    def test_a_broken_field_leaves_the_others_readable(self, line: bytes) -> None:
        with pytest.raises(RemoteProtocolError) as caught:
            parse_datagram(INVITE.replace(b"Subject: one, two", line))
        assert caught.value.headers is not None
        assert (
            reply_to(caught.value.headers, caught.value.status, to_tag="x")
            .to_bytes()
            .startswith(b"SIP/2.0 400 Bad Req")
        )

    @pytest.mark.parametrize(("length", "body"), [(0, b""), (4, b"v=0\r"), (5, b"v=0\r\n"), (6, None)])
    def test_content_length_decides_to_the_octet(self, length: int, body: bytes | None) -> None:
        data = INVITE.replace(b"l: 4", b"l: %d" % length)
        if body is not None:
            assert parse_datagram(data).body == body
            return
        with pytest.raises(RemoteProtocolError, match="shorter"):
            parse_datagram(data)

    def test_line_ends_before_and_octets_after(self) -> None:
        assert parse_datagram(b"\r\n\r\n" + INVITE + b"garbage") == parse_datagram(INVITE)

    def test_keep_alives_are_told_apart(self) -> None:
        assert all(map(is_keep_alive, (b"", b"\r\n\r\n", b"\0", b"\0\0\0\0")))
        assert not is_keep_alive(INVITE)


class TestWriting:
    def test_content_length_is_computed(self) -> None:
        message = request()
        message.body = b"12345"
        written = message.to_bytes()
        assert written.endswith(b"\r\nContent-Length: 5\r\n\r\n12345")
        assert written.count(b"ength:") == 1
        assert b"\r\nl:" not in written

    def test_illegal_start_lines(self) -> None:
        uri = parse_uri("sip:a")
        for bad in (Request("IN VITE", uri), Request("", uri), Response(99), Response(200, "OK\r\nX: y")):
            with pytest.raises(LocalProtocolError):
                bad.to_bytes()

    def test_a_reply_copies_what_it_must(self) -> None:
        reply = request().reply(180, to_tag="new")
        assert reply.headers.items() == [
            ("Via", "SIP/2.0/UDP a;branch=z9hG4bK1 , SIP/2.0/TCP b;branch=z9hG4bK2"),
            ("Via", "SIP/2.0/UDP c;branch=z9hG4bK3"),
            ("From", '"Alice, A." <sip:alice@example.com>;tag=1'),
            ("To", "<sip:bob@example.com>;tag=new"),
            ("Call-ID", "abc@host"),
            ("CSeq", "7 INVITE"),
        ]
        assert reply.reason == "Ringing"
        assert request().reply(100).headers.get("Timestamp") == "54"
        assert request(t=b"t: <sip:b>;tag=old").reply(200, to_tag="new").to.tag == "old"
        assert request(t=b"t: <sip:b").reply(400, to_tag="new").headers.get("To") == "<sip:b"

    def test_reason_phrases(self) -> None:
        assert [reason_phrase(status) for status in (486, 499, 699, 199)] == [
            "Busy Here",
            "Bad Request",
            "Declined",
            "Early Dialog Terminated",
        ]


class TestRefusal:
    """RFC 3261 §8.2."""

    UAS = Abilities(("INVITE", "ACK"), ("timer",))

    @pytest.mark.parametrize(
        ("line", "status", "headers"),
        [
            (b"Require: 100rel", 420, (("Unsupported", "100rel"),)),
            (b"Require: Timer", None, ()),
            (b"Content-Encoding: gzip", 415, (("Accept-Encoding", "identity"),)),
            (b"Accept: application/*;q=0.2", None, ()),
            (b"Accept: */*", None, ()),
            (b"Accept: text/plain", 406, ()),
            (b"Accept: nonsense", 400, ()),
            (b"Accept:", 406, ()),
            (b"Subject: fine", None, ()),
        ],
    )
    def test_in_an_invite(self, line: bytes, status: int | None, headers: tuple[tuple[str, str], ...]) -> None:
        refusal = refuse(request(subject=line), self.UAS)
        assert (None if refusal is None else refusal.status) == status
        assert refusal is None or refusal.headers == headers

    def test_methods(self) -> None:
        for method, status in (("BYE", 405), ("FETCH", 501)):
            refusal = refuse(Request(method, parse_uri("sip:a")), self.UAS)
            assert refusal is not None
            assert (refusal.status, refusal.headers) == (status, (("Allow", "INVITE, ACK"),))

    def test_an_ack_is_never_refused_for_require(self) -> None:
        assert refuse(Request("ACK", parse_uri("sip:a"), Headers([("Require", "x")])), self.UAS) is None

    def test_an_optional_body_may_be_ignored(self) -> None:
        message = request(c=b"c: text/html", subject=b"Content-Disposition: session; handling = Optional")
        assert refuse(message, self.UAS) is None
        refusal = refuse(request(c=b"c: text/html"), self.UAS)
        assert refusal is not None
        assert refusal.status == 415
