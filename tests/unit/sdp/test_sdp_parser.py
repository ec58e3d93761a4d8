"""Reading and writing descriptions: real ones, sloppy ones, broken ones."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from sent.sdp.crypto import parse_crypto, read_cryptos
from sent.sdp.description import Direction, Origin
from sent.sdp.errors import MalformedSdp
from sent.sdp.formats import Format, events_for, formats_of, number_from, parse_fmtp
from sent.sdp.parser import MAX_LINES, MAX_MEDIA, parse_session

VECTORS = Path(os.environ.get("SENT_TEST_VECTORS", Path(__file__).parents[3] / "../shared/vectors")) / "sip"

FULL = b"""v=0\r
o=jdoe 2890844526 2890842807 IN IP4 host.atlanta.example.com\r
s=SDP Seminar\r
i=A Seminar on the session description protocol\r
u=http://www.example.com/seminars/sdp.pdf\r
e=j.doe@example.com (Jane Doe)\r
c=IN IP4 233.252.0.12/127\r
b=AS:128\r
t=2873397496 2873404696\r
r=7d 1h 0 25h\r
a=recvonly\r
m=audio 49170/2 RTP/AVPF 0 96 97\r
c=IN IP6 2001:db8::1\r
a=rtpmap:96 opus/48000/2\r
a=fmtp:96 useinbandfec=1; stereo=0\r
a=rtpmap:97 telephone-event/8000\r
a=sendrecv\r
a=rtcp-mux\r
m=video 51372 RTP/AVP 99\r
b=TIAS:256000\r
a=rtpmap:99 h263-1998/90000\r
"""


def body(folder: str, name: str) -> bytes:
    path = VECTORS / folder / name
    if not path.is_file():
        pytest.skip(f"the vectors of {folder} are not beside this project (SENT_TEST_VECTORS names their folder)")
    return path.read_bytes().partition(b"\r\n\r\n")[2]


def test_a_full_description() -> None:
    session = parse_session(FULL)
    assert session.origin == Origin(2890844526, 2890842807, "host.atlanta.example.com", "jdoe")
    assert (session.name, session.times, session.bandwidths) == ("SDP Seminar", ("2873397496 2873404696",), ("AS:128",))
    assert session.address == "233.252.0.12"
    audio, video = session.media
    assert (audio.kind, audio.port, audio.protocol, audio.formats) == ("audio", 49170, "RTP/AVPF", ("0", "96", "97"))
    assert session.address_of(audio) == "2001:db8::1"
    assert session.address_of(video) == "233.252.0.12"
    assert session.direction_of(audio) is Direction.SENDRECV
    assert session.direction_of(video) is Direction.RECVONLY
    assert audio.get("rtcp-mux") == ""
    assert video.get("rtcp-mux") is None
    assert video.bandwidths == ("TIAS:256000",)
    assert formats_of(audio) == [
        Format(0, "PCMU"),
        Format(96, "opus", 48000, 2, "useinbandfec=1; stereo=0"),
        Format(97, "telephone-event"),
    ]


def test_what_is_written_reads_the_same() -> None:
    session = parse_session(FULL)
    assert parse_session(session.to_bytes()) == session
    assert b"c=IN IP6 2001:db8::1\r\n" in session.to_bytes()


@pytest.mark.parametrize("line_end", [b"\n", b"\r", b"\r\n\r\n"])
def test_any_line_end_will_do(line_end: bytes) -> None:
    assert parse_session(FULL.replace(b"\r\n", line_end)) == parse_session(FULL)
    assert parse_session(FULL.rstrip()) == parse_session(FULL)


def test_what_devices_leave_out() -> None:
    session = parse_session("v=0\no=123 456 IN IP4 192.0.2.1\nm=audio 4000 RTP/AVP 8 8 77 x\na=rtpmap:300 foo/8000\n")
    assert session.origin == Origin(123, 456, "192.0.2.1", "-")
    assert session.times == ()
    assert formats_of(session.media[0]) == [Format(8, "PCMA")]
    assert session.address_of(session.media[0]) is None


@pytest.mark.parametrize(
    "text",
    [
        "",
        "v=1\no=- 1 1 IN IP4 192.0.2.1",
        "o=- 1 1 IN IP4 192.0.2.1\nv=0",
        "v=0\ns=-",
        "v=0\no=- x 1 IN IP4 192.0.2.1",
        "v=0\no=- 1 1 IN IP4",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nm =audio 1 RTP/AVP 0",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio RTP/AVP 0",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio 65536 RTP/AVP 0",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio -1 RTP/AVP 0",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nm=audio ٣ RTP/AVP 0",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 $(reboot)",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN IP4 2001:db8::1",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\nc=IN ATM 1",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\na=x\x00y",
        "v=0\no=- 1 1 IN IP4 192.0.2.1\n" + "a=x\n" * MAX_LINES,
        "v=0\no=- 1 1 IN IP4 192.0.2.1\n" + "m=audio 1 RTP/AVP 0\n" * (MAX_MEDIA + 1),
        "v=0\no=- 1 1 IN IP4 192.0.2.1\na=" + "x" * 65_536,
    ],
)
def test_what_cannot_be_read_is_the_peers_error(text: str) -> None:
    with pytest.raises(MalformedSdp):
        parse_session(text)
    with pytest.raises(MalformedSdp):
        parse_session(text.encode())


def test_latin_1_in_a_session_name_is_let_through() -> None:
    assert parse_session(b"v=0\no=- 1 1 IN IP4 192.0.2.1\ns=B\xfcro\n").name == "Büro"


class TestIpv6:
    def test_rfc5118_4_6_ipv6_in_sdp(self) -> None:
        session = parse_session(body("rfc5118", "ipv6-in-sdp"))
        assert session.origin.session_id == 971731711378798081
        assert [session.address_of(media) for media in session.media] == ["2001:db8::20"] * 2
        assert formats_of(session.media[0]) == [Format(2, "G726-32")]

    def test_rfc5118_4_8_mult_ip_in_sdp(self) -> None:
        session = parse_session(body("rfc5118", "mult-ip-in-sdp"))
        audio, video = session.media
        assert session.address is None
        assert (session.address_of(audio), audio.port) == ("192.0.2.1", 22334)
        assert (session.address_of(video), video.port) == ("2001:db8::1", 6024)

    def test_rfc5118_4_9_ipv4_mapped_ipv6(self) -> None:
        session = parse_session(body("rfc5118", "ipv4-mapped-ipv6"))
        assert session.address == "::ffff:192.0.2.2"


def test_rfc4475_every_session_description_of_the_torture_messages_reads() -> None:
    for name in ("wsinv", "esc01", "sdp01", "inv2543", "mismatch02", "longreq", "unreason"):
        session = parse_session(body("rfc4475", f"{name}.dat"))
        assert session.media[0].kind == "audio"
        assert formats_of(session.media[0])[0] == Format(0, "PCMU")
    assert parse_session(body("rfc4475", "sdp01.dat")).media[1].port == 3227


class TestCrypto:
    """RFC 4568."""

    KEY = "WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz"

    def test_lifetime_mki_and_parameters(self) -> None:
        crypto = parse_crypto(f"1 AES_CM_128_HMAC_SHA1_80 inline:{self.KEY}|2^20|1:4 WSH=64")
        assert (crypto.tag, crypto.suite) == (1, "AES_CM_128_HMAC_SHA1_80")
        assert len(crypto.key_salt) == 30
        assert (crypto.lifetime, crypto.mki) == (1_048_576, (1, 4))
        assert crypto.session_parameters == ("WSH=64",)
        assert "identifier" in (crypto.problem or "")
        assert parse_crypto(str(crypto)) == crypto
        assert self.KEY not in repr(crypto)

    def test_plain_lines_are_usable(self) -> None:
        values = [
            f"1 AES_CM_128_HMAC_SHA1_32 inline:{self.KEY}",
            f"2 AES_CM_128_HMAC_SHA1_80 inline:{self.KEY}|2^31",
            f"3 AES_CM_128_HMAC_SHA1_80 inline:{self.KEY}|1024 -unknown",
        ]
        usable, problems = read_cryptos(values)
        assert [crypto.tag for crypto in usable] == [1, 2, 3]
        assert problems == []

    def test_each_unusable_line_says_why(self) -> None:
        usable, problems = read_cryptos(
            [
                "1 AES_CM_128_HMAC_SHA1_80 inline:c2hvcnQ=",
                f"2 AEAD_AES_256_GCM inline:{self.KEY}",
                f"3 AES_CM_128_HMAC_SHA1_80 inline:{self.KEY} UNENCRYPTED_SRTP",
                "4 AES_CM_128_HMAC_SHA1_80 inline:***",
                "5 AES_CM_128_HMAC_SHA1_80",
                f"x AES_CM_128_HMAC_SHA1_80 inline:{self.KEY}",
                f"6 AES_CM_128_HMAC_SHA1_80 inline:{self.KEY};inline:{self.KEY}",
                f"7 AES_CM_128_HMAC_SHA1_80 inline:{self.KEY}|2^99999",
            ]
        )
        assert usable == []
        assert problems[:3] == [
            "the key has the wrong length",
            "suite AEAD_AES_256_GCM is unknown",
            "its session parameters are not supported",
        ]
        assert problems[3:] == ["malformed"] * 5


def test_small_readers() -> None:
    assert parse_fmtp("useinbandfec=1; Stereo = 0;;annexb") == {"useinbandfec": "1", "stereo": "0", "annexb": ""}
    assert [number_from(text, 1, 100) for text in ("20", " 20 ", "0", "101", "x", None, "٢", "9" * 99)] == [
        20,
        20,
        None,
        None,
        None,
        None,
        None,
        None,
    ]
    events = [Format(101, "telephone-event", 8000), Format(110, "Telephone-Event", 48000)]
    assert events_for(events, 48000) == events[1]
    assert events_for(events[:1], 48000) == events[0]
    assert events_for(events[1:], 8000) is None
