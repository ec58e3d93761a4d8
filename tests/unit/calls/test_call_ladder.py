from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from sent.calls.ladder import Lane, Mark, draw
from sent.calls.ladder_bound import MAX_MESSAGES, MAX_OCTETS, gather, without_secrets
from sent.calls.models import LadderMessage
from sent.calls.sip_summary import summarize

T = datetime(2026, 1, 1, tzinfo=UTC)
SDP = (
    "v=0\r\nc=IN IP4 192.0.2.10\r\nm=audio 4000 RTP/AVP 8 0 111 101\r\n"
    "a=rtpmap:111 opus/48000/2\r\na=rtpmap:101 telephone-event/8000\r\n"
)
INVITE = "INVITE sip:102@sent.example SIP/2.0\r\nCSeq: 1 INVITE\r\n\r\n" + SDP
ALICE = Lane("Alice", "192.0.2.10:5060", "a")
BOB = Lane("Bob", "192.0.2.20:5060", "b")
DESK = Lane("Bob's desk", "192.0.2.21:5060", "c")


def response(status, method="INVITE", headers=""):
    return f"SIP/2.0 {status}\r\nCSeq: 1 {method}\r\n{headers}\r\n"


def message(seconds, lane, sent, text):
    return LadderMessage(T + timedelta(seconds=seconds), lane, sent, "192.0.2.1:5060", text)


CALL = [
    message(0.0, "a", False, INVITE),
    message(0.012, "b", True, INVITE),
    message(0.6, "b", False, response("180 Ringing")),
    message(0.61, "a", True, response("180 Ringing")),
    message(8.0, "b", False, "BYE sip:1@192.0.2.1 SIP/2.0\r\n\r\n"),
]
EXPECTED = """\
              Alice                               SENT                                  Bob
         192.0.2.10:5060                                                          192.0.2.20:5060
                │                                   │                                    │
  +0.000        │─── INVITE 102 ───────────────────►│                                    │
                │    SDP PCMA PCMU opus,            │                                    │
                │    192.0.2.10:4000                │                                    │
  +0.012        │                                   │─── INVITE 102 ────────────────────►│
                │                                   │    SDP PCMA PCMU opus,             │
                │                                   │    192.0.2.10:4000                 │
  +0.600        │                                   │◄── 180 Ringing ────────────────────│
  +0.610        │◄── 180 Ringing ───────────────────│                                    │
  +0.610        │                              ┤ ringing ├                               │
  +8.000        │                                   │◄── BYE ────────────────────────────│
                │                                   │                                    │"""


def test_a_call_as_it_is_drawn():
    marks = [Mark(T + timedelta(seconds=0.61), "ringing")]
    assert draw(ALICE, [BOB], CALL, marks).split("\n") == EXPECTED.split("\n")


def test_ascii_has_the_same_shape_in_seven_bits():
    text = draw(ALICE, [BOB], CALL, [Mark(T + timedelta(seconds=0.61), "ringing")], ascii_only=True)
    assert text.isascii()
    table = str.maketrans({"│": "|", "─": "-", "►": ">", "◄": "<", "┤": "[", "├": "]"})
    assert text == EXPECTED.translate(table)


@pytest.mark.parametrize("width", [60, 80, 100, 140])
@pytest.mark.parametrize("legs", [0, 1, 2, 4, 12])
def test_no_line_is_wider_than_asked_and_each_message_is_there(width, legs):
    lanes = [Lane(f"A very long name of party {n}", "2001:db8::1234:5678:9abc:5061", f"leg{n}") for n in range(legs)]
    messages = [message(n, lane.signalling_id, True, INVITE) for n, lane in enumerate(lanes)]
    messages += [message(n + 0.5, lane.signalling_id, False, response("486 Busy Here")) for n, lane in enumerate(lanes)]
    messages.append(message(30, "a", False, "CANCEL sip:102@x SIP/2.0\r\n\r\n"))
    lines = draw(ALICE, lanes, messages, [Mark(T, "a state with a long name " * 5)], width=width).split("\n")
    assert max(map(len, lines)) <= width
    assert sum("►" in line for line in lines) == legs + 1
    assert sum("◄" in line for line in lines) == legs


def test_an_arrow_to_a_far_lane_crosses_the_nearer_one():
    text = draw(ALICE, [BOB, DESK], [message(0, "c", True, INVITE)])
    arrow = next(line for line in text.split("\n") if "►" in line)
    assert "┼" in arrow
    assert arrow.index("┼") < arrow.index("►")


def test_a_repeated_message_is_marked_and_its_notes_are_not_repeated():
    text = draw(ALICE, [BOB], [message(0, "b", True, INVITE), message(0.5, "b", True, INVITE)])
    assert text.count("SDP") == 1
    assert text.count("↻ INVITE 102") == 1


def test_messages_of_an_unknown_leg_and_none_at_all():
    assert "INVITE 102" in draw(ALICE, [BOB], [message(0, "stranger", True, INVITE)])
    assert draw(ALICE, [BOB], []) == "(no SIP message was kept)"


def test_a_far_sides_control_characters_never_reach_the_terminal():
    evil = response("486 Busy\x1b[2J", headers='Warning: 399 x "\x1b]0;owned\x07"\r\n')
    text = draw(Lane("Ev\x1b[31mil", "", "a"), [BOB], [message(0, "b", False, evil)])
    assert all(c.isprintable() or c == "\n" for c in text)


@pytest.mark.parametrize(
    ("text", "title", "notes"),
    [
        (INVITE, "INVITE 102", ("SDP PCMA PCMU opus, 192.0.2.10:4000",)),
        ("INVITE tel:+4930;phone-context=x SIP/2.0\r\n\r\n", "INVITE +4930", ()),
        (response("200 OK", "BYE"), "200 OK (BYE)", ()),
        (response("486 Busy Here", headers="Reason: Q.850;cause=17\r\n"), "486 Busy Here", ("Reason: Q.850;cause=17",)),
        (response("480"), "480", ()),
        ("REFER sip:a@b SIP/2.0\r\nr: <sip:c@d>\r\n\r\n", "REFER a", ("Refer-To: <sip:c@d>",)),
        ("", "(empty)", ()),
        ("garbage\x00 here", "garbage? here", ()),
        ("INVITE sip:1@2 SIP/2.0\n\nm=audio", "INVITE 1", ()),
        ("INVITE sip:1@2 SIP/2.0\n\nm=audio 1 RTP", "INVITE 1", ("SDP: m=audio 1 RTP",)),
    ],
)
def test_summaries(text, title, notes):
    assert (summarize(text).title, summarize(text).notes) == (title, notes)


def test_sdp_summary_names_srtp_and_direction():
    sdp = "v=0\nc=IN IP6 2001:db8::1\nm=audio 4000 RTP/SAVP 0\na=sendonly\n"
    notes = summarize("INVITE sip:1@2 SIP/2.0\n\n" + sdp).notes
    assert notes == ("SDP PCMU, 2001:db8::1:4000, SRTP, sendonly",)


class Port:
    def __init__(self, **ladders):
        self.ladders = ladders

    def take(self, signalling_id):
        return self.ladders.pop(signalling_id, ((), 0))


def test_gather_merges_legs_by_time_and_strikes_credentials_out():
    secret = (
        'INVITE sip:1@2 SIP/2.0\r\nAuthorization: Digest username="x",\r\n response="0123abc"\r\n'
        'proxy-authorization : Digest response="456def"\r\nVia: kept\r\n\r\na=crypto:1 AES inline:c2VjcmV0|2^20\r\n\0'
    )
    ladder = gather(
        Port(a=([message(1, "a", False, secret)], 2), b=([message(0, "b", True, "first")], 0)), ["a", "b", "", "a"]
    )
    assert ladder.messages[0].text == "first"
    text = ladder.messages[1].text
    assert ladder.omitted == 2
    for word in ("0123abc", "456def", "c2VjcmV0", "username", "\0"):
        assert word not in text
    assert "Via: kept" in text


def test_gather_is_bounded_in_number_and_size():
    many = gather(Port(a=([message(n, "a", True, "x") for n in range(MAX_MESSAGES + 7)], 3)), ["a"])
    assert (len(many.messages), many.omitted) == (MAX_MESSAGES, 10)
    big = gather(Port(a=([message(n, "a", True, "é" * 8_192) for n in range(30)], 0)), ["a"])
    assert sum(len(m.text.encode()) for m in big.messages) <= MAX_OCTETS
    assert len(big.messages) + big.omitted == 30
    assert gather(Port(), ["a"]) is None


@pytest.mark.parametrize(
    ("header", "body"),
    [
        ("Content-Type: application/dtmf-relay", "Signal=5\r\nDuration=160\r\n"),
        ("c: application/dtmf", "5"),
        ("content-type:application/DTMF-relay;x=y", "Signal= 5\nDuration=160"),
    ],
)
def test_pressed_digits_are_not_kept(header, body):
    info = f"INFO sip:102@sent.example SIP/2.0\r\nCSeq: 7 INFO\r\n{header}\r\nContent-Length: 9\r\n\r\n"
    assert without_secrets(info + body) == info + "…"
    assert without_secrets(INVITE) == INVITE
