"""What holds for every description: one kind of error, round trips, and answers that the offerer can read."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.unit.properties import bounded

from sent.sdp.answer import answer, read_answer
from sent.sdp.capabilities import Capabilities, Encryption
from sent.sdp.crypto import KEY_SALT_LENGTHS, Crypto
from sent.sdp.description import Direction
from sent.sdp.errors import MalformedSdp, SdpError
from sent.sdp.formats import Format, formats_of, is_speech
from sent.sdp.offer import make_offer
from sent.sdp.parser import parse_session

SEED = (
    b"v=0\r\no=- 7 1 IN IP4 198.51.100.7\r\ns=-\r\nc=IN IP4 198.51.100.7\r\nt=0 0\r\n"
    b"m=audio 5004 RTP/SAVP 96 0 97 98\r\na=rtpmap:96 opus/48000/2\r\na=fmtp:96 useinbandfec=1\r\n"
    b"a=rtpmap:97 telephone-event/8000\r\na=rtpmap:98 telephone-event/48000\r\na=ptime:20\r\na=maxptime:60\r\n"
    b"a=rtcp:5999 IN IP4 203.0.113.9\r\na=rtcp-mux\r\na=sendonly\r\n"
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:WVNfX19zZW1jdGwgKCkgewkyMjA7fQp9CnVubGVz|2^20\r\n"
    b"m=video 6000 RTP/AVP 31\r\n"
)

CODECS = [Format(111, "opus", 48000, 2, "useinbandfec=1"), Format(0, "PCMU"), Format(8, "PCMA"), Format(9, "G722")]
cryptos = st.lists(
    st.sampled_from(sorted(KEY_SALT_LENGTHS)).map(lambda suite: Crypto(0, suite, b"k" * KEY_SALT_LENGTHS[suite])),
    unique_by=lambda crypto: crypto.suite,
    min_size=1,
    max_size=3,
).map(tuple)
sides = st.builds(
    Capabilities,
    address=st.ip_addresses().filter(lambda address: not address.is_unspecified).map(str),
    port=st.integers(1024, 65_534).map(lambda port: port & ~1),
    codecs=st.lists(st.sampled_from(CODECS), unique=True, min_size=1, max_size=4).map(tuple),
    rtcp_mux=st.booleans(),
    packet_ms=st.sampled_from([10, 20, 30]),
    encryption=st.sampled_from(Encryption),
    cryptos=cryptos,
)
LOCAL = Capabilities(
    "192.0.2.1",
    4000,
    tuple(CODECS),
    encryption=Encryption.OPTIONAL,
    cryptos=(Crypto(0, "AES_CM_128_HMAC_SHA1_80", b"k" * 30),),
)


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    data = SEED
    for _ in range(draw(st.integers(1, 5))):
        start = draw(st.integers(0, len(data)))
        end = min(len(data), start + draw(st.integers(0, 20)))
        piece = draw(
            st.sampled_from([b"", data[start:end] * 2, b"\n", b" ", b"/", b":", b"=", b"|", b"9" * 20, b"-1", b"\xff"])
            | st.binary(max_size=5)
        )
        data = data[:start] + piece + data[end:]
    return data


@given(st.binary(max_size=200) | st.binary(max_size=200).map(lambda data: SEED + data) | mutated())
@bounded
def test_any_octets_give_a_description_or_our_error(data: bytes) -> None:
    try:
        session = parse_session(data)
    except MalformedSdp:
        return
    assert parse_session(session.to_bytes()) == session
    try:
        made = answer(session, LOCAL, session_id=1)
    except SdpError as error:
        assert len(error.reason) < 1000  # noqa: PT017 - either outcome is fine, the bound holds for this one
    else:
        assert len(made.description.media) == len(session.media)
    try:
        read_answer(make_offer(LOCAL, session_id=1), session)
    except SdpError:
        return


@given(sides, sides, st.sampled_from(Direction), st.sampled_from(Direction))
@bounded
def test_both_sides_come_to_the_same_end(
    alice: Capabilities, bob: Capabilities, wanted: Direction, taken: Direction
) -> None:
    offer = make_offer(alice, session_id=1, direction=wanted)
    try:
        made = answer(parse_session(offer.to_bytes()), bob, session_id=2, direction=taken)
    except SdpError:
        common = {fmt.key for fmt in alice.codecs} & {fmt.key for fmt in bob.codecs}
        never = Encryption.REQUIRED in {alice.encryption, bob.encryption}
        assert not common or never
        return
    hers, his = read_answer(offer, parse_session(made.description.to_bytes())), made.negotiated
    assert [fmt.key for fmt in hers.send] == [fmt.key for fmt in his.receive]
    assert [fmt.payload_type for fmt in hers.send] == [fmt.payload_type for fmt in his.receive]
    assert [fmt.payload_type for fmt in hers.receive] == [fmt.payload_type for fmt in his.send]
    assert hers.direction is his.direction.mirrored
    assert not (his.direction.sends and not wanted.receives)
    assert (hers.dtmf_send, hers.dtmf_receive) == (his.dtmf_receive, his.dtmf_send)
    assert hers.rtcp_mux is his.rtcp_mux is (alice.rtcp_mux and bob.rtcp_mux)
    assert (hers.remote, his.remote) == ((bob.address, bob.port), (alice.address, alice.port))
    assert (hers.local_crypto and hers.local_crypto.key_salt) == (his.remote_crypto and his.remote_crypto.key_salt)
    assert (hers.remote_crypto and hers.remote_crypto.key_salt) == (his.local_crypto and his.local_crypto.key_salt)


@given(sides, st.lists(st.sampled_from(Direction), min_size=1, max_size=5))
@bounded
def test_numbers_keep_their_meaning_through_any_number_of_offers(bob: Capabilities, moves: list[Direction]) -> None:
    """Holds for offers that go back and forth: no payload type of ours ever changes its codec."""
    offer = make_offer(LOCAL, session_id=1)
    try:
        made = answer(offer, bob, session_id=2)
    except SdpError:
        return
    meaning: dict[int, tuple[str, int, int]] = {}
    last = made.description
    for move in moves:
        for fmt in formats_of(last.media[0]):
            assert meaning.setdefault(fmt.payload_type, fmt.key) == fmt.key
        before = last
        last = make_offer(bob, session_id=0, direction=move, previous=before)
        assert last.origin.version - before.origin.version == (str(last) != str(before))
        assert [fmt for fmt in formats_of(last.media[0]) if is_speech(fmt)]
        assert len({fmt.payload_type for fmt in formats_of(last.media[0])}) == len(formats_of(last.media[0]))


FILLERS = [
    "a=rtpmap:96 x/8000\n",
    "m=audio 1 RTP/AVP 0\n",
    "\n",
    "a=crypto:1 X inline:" + "A" * 500 + "\n",
    "a=fmtp:0 " + ";" * 99,
    "m=audio 1 RTP/AVP" + " 0" * 900 + "\n",
    " " * 999,
    "c=IN IP4 192.0.2.1/" + "1" * 99 + "\n",
]


@pytest.mark.parametrize("filler", FILLERS, ids=lambda filler: filler[:10].strip())
def test_64_kilobytes_of_anything_take_no_time(filler: str) -> None:
    text = SEED.decode() + filler * ((65_000 - len(SEED)) // len(filler))
    began = time.process_time()
    try:
        answer(parse_session(text), LOCAL, session_id=1)
    except SdpError as error:
        assert error.status in {400, 488}  # noqa: PT017 - refusing it is as good as answering
    assert time.process_time() - began < 0.5
