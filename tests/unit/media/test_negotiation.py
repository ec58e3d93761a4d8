from __future__ import annotations

from sent.media.negotiation import SUITES, fresh_cryptos, ordered, settings
from sent.media.types import Codec, SrtpSuite
from sent.sdp.capabilities import Negotiated
from sent.sdp.crypto import Crypto
from sent.sdp.description import Direction
from sent.sdp.formats import Format


def test_the_other_legs_codecs_come_first_and_none_is_left_out():
    assert [f.name for f in ordered(())] == ["opus", "PCMU", "PCMA"]
    assert [f.name for f in ordered(("pcma", "G729", "OPUS"))] == ["PCMA", "opus", "PCMU"]


def test_each_leg_has_keys_of_its_own_and_of_the_right_length():
    lengths = []
    cryptos = fresh_cryptos(lambda n: lengths.append(n) or b"k" * n)  # type: ignore[func-returns-value]
    assert [SrtpSuite(c.suite) for c in cryptos] == list(SUITES)
    assert lengths == [30, 46, 30]
    assert [c.problem for c in cryptos] == [None, None, None]


def test_an_agreement_becomes_the_engines_settings():
    ours, theirs = Format(111, "opus", 48000, 2, "useinbandfec=1"), Format(96, "opus", 48000, 2)
    key = Crypto(1, "AES_CM_128_HMAC_SHA1_80", b"a" * 30)
    agreed = Negotiated(
        media_index=0,
        receive=(ours,),
        send=(theirs,),
        direction=Direction.SENDONLY,
        remote=("192.0.2.7", 4000),
        remote_rtcp=("192.0.2.7", 4001),
        dtmf_receive=101,
        dtmf_send=110,
        dtmf_clock=48000,
        held=False,
        local_crypto=key,
        remote_crypto=key,
    )
    made = settings(agreed, ("198.51.100.1",))
    assert made.receive == (Codec(111, "opus", 48000, 2, "useinbandfec=1"),)
    assert made.send == Codec(96, "opus", 48000, 2)
    assert (made.may_send, made.may_receive) == (True, False)
    assert (made.remote, made.remote_rtcp) == (("192.0.2.7", 4000), ("192.0.2.7", 4001))
    assert (made.dtmf_receive, made.dtmf_send, made.dtmf_clock) == (101, 110, 48000)
    assert made.latch_from == ("198.51.100.1",)
    assert made.local_srtp is not None
    assert made.local_srtp.key_salt == b"a" * 30
