"""Offer and answer (RFC 3264): codecs, payload types, hold, several lines, what a refusal says."""

from __future__ import annotations

import pytest
from tests.unit.sdp.sdp_texts import ALL, OPUS, PCMA, PCMU, SHA32, SHA80, offered, ours

from sent.sdp.answer import answer, read_answer
from sent.sdp.capabilities import Capabilities, Encryption
from sent.sdp.description import Direction, SessionDescription
from sent.sdp.errors import MalformedSdp, NoCommonCodec
from sent.sdp.formats import Format, formats_of
from sent.sdp.offer import make_offer
from sent.sdp.parser import parse_session


def numbers(description: SessionDescription, index: int = 0) -> dict[str, int]:
    return {f"{fmt.name}/{fmt.clock_rate}": fmt.payload_type for fmt in formats_of(description.media[index])}


def direction(description: SessionDescription, index: int = 0) -> Direction:
    return description.direction_of(description.media[index])


class TestOffer:
    def test_a_first_offer(self) -> None:
        offer = make_offer(ours(), session_id=42)
        assert str(offer).split("\r\n") == [
            "v=0",
            "o=- 42 1 IN IP4 192.0.2.1",
            "s=-",
            "c=IN IP4 192.0.2.1",
            "t=0 0",
            "m=audio 4000 RTP/AVP 111 0 8 101 110",
            "a=rtpmap:111 opus/48000/2",
            "a=fmtp:111 useinbandfec=1",
            "a=rtpmap:0 PCMU/8000",
            "a=rtpmap:8 PCMA/8000",
            "a=rtpmap:101 telephone-event/8000",
            "a=fmtp:101 0-15",
            "a=rtpmap:110 telephone-event/48000",
            "a=fmtp:110 0-15",
            "a=ptime:20",
            "a=sendrecv",
            "a=rtcp-mux",
            "",
        ]

    def test_events_only_on_clocks_that_a_codec_has(self) -> None:
        assert "telephone-event/48000" not in numbers(make_offer(ours((PCMU,)), session_id=1))

    def test_ipv6_and_a_port_of_its_own_for_rtcp(self) -> None:
        local = Capabilities("2001:db8::5", 4000, (PCMU,), rtcp_port=4009, rtcp_mux=False)
        text = str(make_offer(local, session_id=1))
        assert "c=IN IP6 2001:db8::5\r\n" in text
        assert "a=rtcp:4009\r\n" in text
        assert "rtcp-mux" not in text
        assert "a=rtcp:" not in str(make_offer(ours(rtcp_port=4001), session_id=1))

    def test_the_version_counts_changes_and_nothing_else(self) -> None:
        first = make_offer(ours(), session_id=42)
        assert make_offer(ours(), session_id=0, previous=first) == first
        held = make_offer(ours(), session_id=0, direction=Direction.SENDONLY, previous=first)
        assert (held.origin.session_id, held.origin.version) == (42, 2)
        back = make_offer(ours(), session_id=0, previous=held)
        assert (back.origin.version, direction(back)) == (3, Direction.SENDRECV)
        moved = make_offer(Capabilities("192.0.2.99", 4000, ALL), session_id=0, previous=back)
        assert (moved.origin.version, moved.origin.address, moved.address) == (4, "192.0.2.1", "192.0.2.99")

    def test_audio_comes_back_after_all_lines_were_switched_off(self) -> None:
        first = make_offer(ours(), session_id=42)
        off = SessionDescription(first.origin, (first.media[0].refused(),), first.address)
        again = make_offer(ours(), session_id=0, previous=off)
        assert [media.port for media in again.media] == [0, 4000]

    @pytest.mark.parametrize(("address", "codecs"), [("0.0.0.0", ALL), ("::", ALL), ("192.0.2.1", ())])
    def test_what_would_mean_hold_is_never_offered(self, address: str, codecs: tuple[Format, ...]) -> None:
        with pytest.raises(ValueError, match="reach"):
            Capabilities(address, 4000, codecs)


class TestAnswer:
    def test_the_offers_order_and_numbers_our_parameters(self) -> None:
        offer = offered(
            "m=audio 5004 RTP/AVP 8 96 0 18 97 98",
            "a=rtpmap:96 OPUS/48000/2",
            "a=fmtp:96 maxplaybackrate=16000",
            "a=rtpmap:97 telephone-event/48000",
            "a=rtpmap:98 telephone-event/8000",
            "a=ptime:30",
        )
        made = answer(offer, ours(), session_id=9)
        line = made.description.media[0]
        assert line.formats == ("8", "96", "0", "98", "97")
        assert line.get_all("fmtp") == ["96 useinbandfec=1", "98 0-15", "97 0-15"]
        agreed = made.negotiated
        assert agreed.codec == PCMA
        assert agreed.send[1] == Format(96, "OPUS", 48000, 2, "maxplaybackrate=16000")
        assert agreed.receive[1] == Format(96, "OPUS", 48000, 2, "useinbandfec=1")
        assert (agreed.dtmf_send, agreed.dtmf_receive) == (98, 98)
        assert agreed.packet_ms == 30
        assert (agreed.remote, agreed.remote_rtcp) == (("198.51.100.7", 5004), ("198.51.100.7", 5005))

    def test_preferred_codecs_come_first(self) -> None:
        offer = offered("m=audio 5004 RTP/AVP 8 96 0", "a=rtpmap:96 opus/48000/2")
        made = answer(offer, ours(), session_id=9, prefer=("OPUS", "pcmu"))
        assert made.description.media[0].formats == ("96", "0", "8")
        assert made.negotiated.codec.name == "opus"

    def test_events_on_the_codecs_clock_else_at_8000(self) -> None:
        both = ("a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/48000", "a=rtpmap:98 telephone-event/8000")
        made = answer(offered("m=audio 5004 RTP/AVP 96 0 97 98", *both), ours(), session_id=1)
        assert (made.negotiated.dtmf_send, made.negotiated.dtmf_clock) == (97, 48_000)
        made = answer(offered("m=audio 5004 RTP/AVP 96 98", both[0], both[2]), ours(), session_id=1)
        assert (made.negotiated.dtmf_send, made.negotiated.dtmf_clock) == (98, 8_000)
        made = answer(offered("m=audio 5004 RTP/AVP 96", both[0]), ours(), session_id=1)
        assert made.negotiated.dtmf_send is None
        assert made.negotiated.dtmf_receive is None

    def test_video_is_refused_in_its_place(self) -> None:
        offer = offered(
            "m=video 6000 RTP/AVP 31", "m=audio 5004 RTP/AVP 0", "m=application 7000 UDP/BFCP *", "m=audio 8 RTP/AVP 0"
        )
        made = answer(offer, ours(), session_id=1)
        assert [(m.kind, m.port, m.protocol) for m in made.description.media] == [
            ("video", 0, "RTP/AVP"),
            ("audio", 4000, "RTP/AVP"),
            ("application", 0, "UDP/BFCP"),
            ("audio", 0, "RTP/AVP"),
        ]
        assert made.negotiated.media_index == 1

    def test_the_first_usable_of_several_audio_lines(self) -> None:
        offer = offered(
            "m=audio 0 RTP/AVP 0", "m=audio 5002 RTP/SAVP 0", "m=audio 5004 RTP/AVP 18", "m=audio 5006 RTP/AVPF 8"
        )
        made = answer(offer, ours(), session_id=1)
        assert [media.port for media in made.description.media] == [0, 0, 0, 4000]
        assert made.description.media[3].protocol == "RTP/AVPF"
        assert made.negotiated.remote == ("198.51.100.7", 5006)

    @pytest.mark.parametrize(
        ("attributes", "remote_rtcp"),
        [
            (("a=rtcp-mux", "a=rtcp:5999"), ("198.51.100.7", 5004)),
            (("a=rtcp:5999",), ("198.51.100.7", 5999)),
            (("a=rtcp:5999 IN IP4 203.0.113.9",), ("203.0.113.9", 5999)),
            (("a=rtcp:nonsense",), ("198.51.100.7", 5005)),
            (("a=rtcp:5999 IN IP4 evil.example",), ("198.51.100.7", 5999)),
        ],
    )
    def test_where_rtcp_goes(self, attributes: tuple[str, ...], remote_rtcp: tuple[str, int]) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 0", *attributes), ours(), session_id=1)
        assert made.negotiated.remote_rtcp == remote_rtcp
        assert (made.description.media[0].get("rtcp-mux") is not None) is ("a=rtcp-mux" in attributes)

    @pytest.mark.parametrize("address", ["phone.example.com", "999.1.1.1", "1.2.3"])
    def test_a_peer_without_an_ip_address_is_left_to_the_latch(self, address: str) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 0", head=f"c=IN IP4 {address}"), ours(), session_id=1)
        assert (made.negotiated.remote, made.negotiated.remote_rtcp) == (None, None)
        assert (made.negotiated.may_send, made.negotiated.held) == (True, False)

    def test_opus_without_its_channels_is_opus(self) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 96", "a=rtpmap:96 opus/48000"), ours(), session_id=1)
        assert made.description.media[0].get("rtpmap") == "96 opus/48000/2"

    @pytest.mark.parametrize(
        ("attributes", "packet_ms"),
        [
            ((), 20),
            (("a=ptime:60",), 60),
            (("a=ptime:25",), 20),
            (("a=ptime:40", "a=maxptime:30"), 30),
            (("a=ptime:2",), 10),
            (("a=ptime:x",), 20),
            (("a=maxptime:10",), 10),
        ],
    )
    def test_packet_time(self, attributes: tuple[str, ...], packet_ms: int) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 0", *attributes), ours(), session_id=1)
        assert made.negotiated.packet_ms == packet_ms


class TestRefusal:
    """Each names the media line and what was missing."""

    @pytest.mark.parametrize(
        ("lines", "warning", "words"),
        [
            (
                ("m=audio 5004 RTP/AVP 18 3",),
                305,
                "media line 1 (audio RTP/AVP) has no common codec: offered G729, GSM",
            ),
            (("m=video 5004 RTP/AVP 31",), 304, "no audio line (media lines: video)"),
            ((), 304, "no audio line (media lines: none)"),
            (("m=audio 0 RTP/AVP 0",), 304, "media line 1 (audio RTP/AVP) is switched off"),
            (("m=audio 5004 UDP/TLS/RTP/SAVPF 0",), 302, "transport protocol that is not available"),
            (("m=video 1 RTP/AVP 31", "m=audio 5004 RTP/SAVP 0"), 302, "media line 2 (audio RTP/SAVP) asks for SRTP"),
            (("m=audio 5004 RTP/AVP 101", "a=rtpmap:101 telephone-event/8000"), 305, "offered none"),
        ],
    )
    def test_words(self, lines: tuple[str, ...], warning: int, words: str) -> None:
        with pytest.raises(NoCommonCodec) as caught:
            answer(offered(*lines), ours(), session_id=1)
        assert (caught.value.status, caught.value.warning) == (488, warning)
        assert words in caught.value.reason

    def test_the_reason_is_bounded(self) -> None:
        maps = [f"a=rtpmap:{number} {'x' * 60}{number}/8000" for number in range(96, 128)]
        line = "m=audio 5004 RTP/AVP " + " ".join(map(str, range(96, 128)))
        with pytest.raises(NoCommonCodec) as caught:
            answer(offered(line, *maps), ours(), session_id=1)
        assert len(caught.value.reason) < 700


class TestHold:
    @pytest.mark.parametrize(
        ("offered_direction", "answered", "held"),
        [
            ("sendrecv", "sendrecv", False),
            ("sendonly", "recvonly", True),
            ("recvonly", "sendonly", False),
            ("inactive", "inactive", True),
        ],
    )
    def test_directions_are_exact(self, offered_direction: str, answered: str, held: bool) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 0", f"a={offered_direction}"), ours(), session_id=1)
        assert direction(made.description).value == answered
        assert made.negotiated.direction.value == answered
        assert made.negotiated.held is held
        assert (made.negotiated.may_send, made.negotiated.may_receive) == (
            answered in {"sendrecv", "sendonly"},
            answered in {"sendrecv", "recvonly"},
        )

    def test_a_direction_of_the_session_counts_for_its_lines(self) -> None:
        made = answer(offered("a=sendonly", "m=audio 5004 RTP/AVP 0"), ours(), session_id=1)
        assert made.negotiated.held

    def test_the_old_way(self) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 0", head="c=IN IP4 0.0.0.0"), ours(), session_id=1)
        assert direction(made.description) is Direction.RECVONLY
        assert made.description.address == "192.0.2.1"
        assert made.negotiated.held
        assert made.negotiated.remote is None
        assert not made.negotiated.may_send
        made = answer(offered("m=audio 5004 RTP/AVP 0", "a=inactive", head="c=IN IP4 0.0.0.0"), ours(), session_id=1)
        assert direction(made.description) is Direction.INACTIVE

    def test_hold_and_unhold_keep_everything_else(self) -> None:
        lines = ("m=audio 5004 RTP/AVP 96 0 97", "a=rtpmap:96 opus/48000/2", "a=rtpmap:97 telephone-event/8000")
        first = answer(offered(*lines), ours(), session_id=9)
        held = answer(offered(*lines, "a=sendonly"), ours(), session_id=0, previous=first.description)
        back = answer(offered(*lines, "a=sendrecv"), ours(), session_id=0, previous=held.description)
        assert [step.description.origin.version for step in (first, held, back)] == [1, 2, 3]
        assert str(back.description).replace("- 9 3", "- 9 1") == str(first.description)
        assert back.negotiated == first.negotiated
        again = answer(offered(*lines, "a=sendrecv"), ours(), session_id=0, previous=back.description)
        assert again.description == back.description

    def test_when_we_hold_the_peer_is_not_the_one_who_holds(self) -> None:
        offer = make_offer(ours(), session_id=1, direction=Direction.SENDONLY)
        agreed = read_answer(offer, offered("m=audio 5004 RTP/AVP 0", "a=recvonly"))
        assert (agreed.direction, agreed.held) == (Direction.SENDONLY, False)
        offer = make_offer(ours(), session_id=1, direction=Direction.INACTIVE)
        agreed = read_answer(offer, offered("m=audio 5004 RTP/AVP 0", "a=inactive"))
        assert (agreed.direction, agreed.held) == (Direction.INACTIVE, False)

    def test_an_answer_cannot_have_more_than_we_offered(self) -> None:
        offer = make_offer(ours(), session_id=1, direction=Direction.SENDONLY)
        agreed = read_answer(offer, offered("m=audio 5004 RTP/AVP 0", "a=sendrecv"))
        assert agreed.direction is Direction.SENDONLY


class TestPayloadTypes:
    """RFC 3264 §5.1, §8.3.2: each side receives with its own numbers, and a number keeps its meaning."""

    def test_the_answerer_may_use_numbers_of_its_own(self) -> None:
        offer = make_offer(ours(), session_id=1)
        their = offered("m=audio 5004 RTP/AVP 98 120", "a=rtpmap:98 opus/48000/2", "a=rtpmap:120 telephone-event/48000")
        agreed = read_answer(offer, their)
        assert agreed.codec.payload_type == 98
        assert agreed.receive == (OPUS,)
        assert (agreed.dtmf_send, agreed.dtmf_receive) == (120, 110)

    def test_a_reoffer_of_the_peer_with_new_numbers_leaves_ours(self) -> None:
        first = answer(offered("m=audio 5004 RTP/AVP 96", "a=rtpmap:96 opus/48000/2"), ours(), session_id=1)
        reoffer = offered(
            "m=audio 5004 RTP/AVP 102 96", "a=rtpmap:102 opus/48000/2", "a=rtpmap:96 telephone-event/8000"
        )
        second = answer(reoffer, ours(), session_id=0, previous=first.description)
        assert numbers(second.description)["opus/48000"] == 96
        assert numbers(second.description)["telephone-event/8000"] not in {96, 102}
        assert second.negotiated.codec.payload_type == 102
        assert second.negotiated.dtmf_send == 96
        assert second.negotiated.dtmf_receive == numbers(second.description)["telephone-event/8000"]

    def test_our_reoffer_after_an_answer_keeps_the_numbers_of_that(self) -> None:
        offer = offered(
            "m=video 6000 RTP/AVP 31",
            "m=audio 5004 RTP/AVP 101 111",
            "a=rtpmap:101 opus/48000/2",
            "a=rtpmap:111 telephone-event/8000",
        )
        made = answer(offer, ours(), session_id=5)
        again = make_offer(ours(), session_id=0, previous=made.description)
        assert [media.port for media in again.media] == [0, 4000]
        found = numbers(again, 1)
        assert (found["opus/48000"], found["telephone-event/8000"]) == (101, 111)
        assert len(set(found.values())) == len(found) == 5

    def test_our_reoffer_gives_no_number_a_second_meaning(self) -> None:
        made = answer(offered("m=audio 5004 RTP/AVP 101", "a=rtpmap:101 opus/48000/2"), ours(), session_id=5)
        found = numbers(make_offer(ours(), session_id=0, previous=made.description))
        assert found["opus/48000"] == 101
        assert len(set(found.values())) == len(found) == 5

    def test_an_answer_without_rtpmap_means_our_numbers(self) -> None:
        agreed = read_answer(make_offer(ours(), session_id=1), offered("m=audio 5004 RTP/AVP 111 101"))
        assert agreed.codec == OPUS
        assert agreed.dtmf_send == 101


class TestAnswersThatDoNotFit:
    def test_words(self) -> None:
        offer = make_offer(ours(), session_id=1)
        with pytest.raises(NoCommonCodec, match="the peer refused media line 1"):
            read_answer(offer, offered("m=audio 0 RTP/AVP 0"))
        with pytest.raises(NoCommonCodec, match="no codec of our offer"):
            read_answer(offer, offered("m=audio 5004 RTP/AVP 18"))
        with pytest.raises(MalformedSdp):
            read_answer(offer, offered())
        with pytest.raises(MalformedSdp):
            read_answer(offer, offered("m=video 5004 RTP/AVP 31"))


def test_two_of_us_agree() -> None:
    bob = Capabilities("192.0.2.2", 6000, (PCMA, OPUS), encryption=Encryption.OPTIONAL, cryptos=(SHA32,))
    alice = ours(encryption=Encryption.OPTIONAL, cryptos=(SHA80, SHA32))
    offer = make_offer(alice, session_id=1)
    made = answer(parse_session(offer.to_bytes()), bob, session_id=2)
    agreed = read_answer(offer, parse_session(made.description.to_bytes()))
    assert agreed.codec.name == made.negotiated.codec.name == "opus"
    assert (agreed.dtmf_send, agreed.dtmf_receive) == (made.negotiated.dtmf_receive, made.negotiated.dtmf_send)
    assert agreed.remote == ("192.0.2.2", 6000)
    assert made.negotiated.remote == ("192.0.2.1", 4000)
    assert agreed.rtcp_mux
    assert made.negotiated.rtcp_mux
    assert agreed.local_crypto == made.negotiated.remote_crypto
    assert agreed.remote_crypto == made.negotiated.local_crypto
    assert agreed.remote_crypto is not None
