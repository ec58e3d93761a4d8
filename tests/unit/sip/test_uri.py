"""URIs: what they hold, how they are written, when two are the same."""

from __future__ import annotations

import pytest

from sent.sip.errors import RemoteProtocolError
from sent.sip.params import Params
from sent.sip.uri import OtherUri, SipUri, TelUri, equivalent, parse_uri


@pytest.mark.parametrize(
    "text",
    [
        # RFC 3261 §19.1.3
        "sip:alice@atlanta.com",
        "sip:alice:secretword@atlanta.com;transport=tcp",
        "sips:alice@atlanta.com?subject=project%20x&priority=urgent",
        "sip:+1-212-555-1212:1234@gateway.com;user=phone",
        "sips:1212@gateway.com",
        "sip:alice@192.0.2.4",
        "sip:atlanta.com;method=REGISTER?to=alice%40atlanta.com",
        "sip:alice;day=tuesday@atlanta.com",
        "sip:[2001:db8::1]:5061;lr",
        "tel:+1-201-555-0123",
        "tel:7042;phone-context=example.com",
        "tel:*72;phone-context=+49",
        "http://www.example.com/x?y=z",
    ],
)
def test_what_is_read_is_written_the_same(text: str) -> None:
    assert str(parse_uri(text)) == text


def test_the_parts() -> None:
    uri = parse_uri("SIPS:al%69ce:pa%3Ass@[2001:DB8::1]:5061;transport=TLS;lr;x=%20?Subject=a%26b&Call-Info=")
    assert uri == SipUri(
        "sips",
        "2001:DB8::1",
        "alice",
        "pa:ss",
        5061,
        Params((("transport", "TLS"), ("lr", None), ("x", " "))),
        (("Subject", "a&b"), ("Call-Info", "")),
    )
    assert parse_uri("tel:+49-30-(90)18.20;ext=5") == TelUri("+49-30-(90)18.20", Params((("ext", "5"),)))
    assert parse_uri("tel:+49-30").digits == "+4930"  # type: ignore[union-attr]
    assert parse_uri("urn:service:sos") == OtherUri("urn", "service:sos")


@pytest.mark.parametrize(
    ("text", "user"),
    [("sip:*72#@pbx", "*72#"), ("sip:M%FCller@a", "Müller"), ("sip:M%C3%BCller@a", "Müller"), ("sip:Ω@a", "Ω")],
)
def test_users_that_phones_send(text: str, user: str) -> None:
    uri = parse_uri(text)
    assert isinstance(uri, SipUri)
    assert uri.user == user
    assert parse_uri(str(uri)) == uri


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        ":x",
        "alice",
        "1sip:a",
        "sip:@a",
        "sip:a@",
        "sip:a@b@c",
        "sip:a@b;x=c@d",
        "sip:a:0",
        "sip:a:",
        "sip:a:65536",
        "sip:a:٥٠٦٠",
        "sip:a:5060x",
        "sip:a;",
        "sip:a;;lr",
        "sip:a?",
        "sip:a?x",
        "sip:a?=y",
        "sip:%@a",
        "sip:%4@a",
        "sip:%zz@a",
        "sip:a b@c",
        "sip:a\x00@c",
        "<sip:a>",
        "sip:a\r\nX: y",
        "sip:1.2.3",
        "sip:1.2.3.256",
        "sip:01.2.3.4",
        "sip:-a",
        "sip:ä",
        "sip:[::1",
        "sip:[::1]x",
        "tel:",
        "tel:+",
        "tel:alice",
        "tel:+49;;x=y",
        "tel:+49 30",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(RemoteProtocolError):
        parse_uri(text)


class TestEquivalence:
    """RFC 3261 §19.1.4, with its examples, and RFC 5954 for addresses."""

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtlanTa.CoM;Transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com;security=on"),
            (
                "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
                "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            ),
            (
                "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
                "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            ),
            ("sip:bob@[2001:db8::9:1]", "sip:bob@[2001:db8::9:01]"),
            ("sip:bob@[::ffff:192.0.2.128]", "sip:bob@[::ffff:c000:280]"),
            ("tel:+1-201-555-0123", "tel:+12015550123"),
        ],
    )
    def test_the_same(self, a: str, b: str) -> None:
        assert equivalent(parse_uri(a), parse_uri(b))
        assert equivalent(parse_uri(b), parse_uri(a))

    @pytest.mark.parametrize(
        ("a", "b"),
        [
            ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp"),
            ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp"),
            ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting"),
            ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4"),
            ("sip:a@b;security=on", "sip:a@b;security=off"),
            ("sip:a@b", "sips:a@b"),
            ("sip:a@b", "sip:a:p@b"),
            ("sip:b", "tel:7042"),
            ("tel:7042;phone-context=a.example", "tel:7042;phone-context=b.example"),
        ],
    )
    def test_not_the_same(self, a: str, b: str) -> None:
        assert not equivalent(parse_uri(a), parse_uri(b))
        assert not equivalent(parse_uri(b), parse_uri(a))


def test_params() -> None:
    params = Params((("LR", None), ("Q", "1"), ("q", "2")))
    assert (params.get("lr"), params.get("q"), params.get("x")) == (None, "1", None)
    assert params.has("lr")
    assert not params.has("x")
    assert params.with_("Lr", "on").items == (("LR", "on"), ("Q", "1"), ("q", "2"))
    assert params.with_("x", None).items[-1] == ("x", None)
    assert params.without("Q").items == (("LR", None),)
    assert not Params()
