"""Two phones hear each other: relayed, transcoded, encrypted; and nobody else is heard."""

from __future__ import annotations

import time

import pytest

from sent.media.port import MediaEngine
from sent.media.types import Codec, RtpSettings, SrtpKey, SrtpSuite
from sent.testing.audio import level_at, level_of, listen, tone
from sent.testing.rtp_peer import Connect, RtpPeer, converse, settings_for

pytestmark = pytest.mark.engine

OPUS = Codec(111, "opus", 48_000, 2)


def talk(seconds: float, alice: RtpPeer, bob: RtpPeer) -> None:
    """Alice says 440 Hz, Bob 1000 Hz."""
    alice.play(tone(440, round(seconds * 1000)))
    bob.play(tone(1000, round(seconds * 1000)))
    converse(seconds, alice, bob)


def test_same_codec_is_relayed_undecoded(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    talk(1.2, alice, bob)
    assert listen(alice.heard()).is_tone(1000, -13)
    assert listen(bob.heard()).is_tone(440, -13)
    for speaker, listener in ((alice, bob), (bob, alice)):
        payloads = [packet.payload for packet in listener.received]
        assert len(payloads) >= 58
        start = next(n for n, packet in enumerate(speaker.sent) if packet.payload == payloads[0])
        assert payloads == [packet.payload for packet in speaker.sent[start : start + len(payloads)]]
        sequence = [packet.sequence for packet in listener.received]
        assert sequence == [(sequence[0] + n) & 0xFFFF for n in range(len(sequence))]
    statistics = engine.close(a)
    assert (statistics.packets_received, statistics.packets_lost, statistics.transcoded) == (60, 0, False)
    assert statistics.remote == alice.address


def test_a_relay_adds_at_most_a_nap(engine: MediaEngine, connect: Connect) -> None:
    """Loose, as the machine may be busy: the figure itself is a benchmark's."""
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    delays = []
    for _ in range(40):
        before = time.monotonic()
        alice.send_frame()
        converse(0.02, silent=(bob,))
        delays.extend(at - before for at in bob.arrivals)
        bob.forget()
    assert sorted(delays)[len(delays) // 2] < 0.005


@pytest.mark.parametrize("payload_types", [(0, 8), (8, 0)])
def test_pcmu_and_pcma_are_transcoded(engine: MediaEngine, connect: Connect, payload_types: tuple[int, int]) -> None:
    (alice, a), (bob, b) = connect(payload_types[0]), connect(payload_types[1])
    engine.bridge(a, b)
    talk(1.5, alice, bob)
    assert listen(alice.heard()).is_tone(1000, -13)
    assert listen(bob.heard()).is_tone(440, -13)
    assert {packet.payload_type for packet in bob.received} == {payload_types[1]}
    assert engine.statistics(a).transcoded
    assert engine.statistics(b).transcoded


def test_opus_between_pcmu_phones(engine: MediaEngine, connect: Connect) -> None:
    """Two bridges, joined over loopback by a hop that speaks Opus."""
    (alice, a), (bob, b) = connect(), connect()
    (near, near_ports), (far, far_ports) = engine.open_rtp("127.0.0.1"), engine.open_rtp("127.0.0.1")
    for leg, to in ((near, far_ports), (far, near_ports)):
        engine.configure(leg, RtpSettings(receive=(OPUS,), send=OPUS, remote=(to.address, to.port)))
    engine.bridge(a, near)
    engine.bridge(far, b)
    talk(2.0, alice, bob)
    assert listen(alice.heard()).is_tone(1000, -13)
    assert listen(bob.heard()).is_tone(440, -13)
    hop = engine.statistics(near)
    assert hop.transcoded
    assert 0 < hop.bytes_received < hop.packets_received * 160, "Opus is smaller than G.711"


@pytest.mark.parametrize("suite", list(SrtpSuite))
def test_srtp_each_way_with_its_own_key(engine: MediaEngine, connect: Connect, suite: SrtpSuite) -> None:
    size = 46 if suite is SrtpSuite.AES_256_CM_HMAC_SHA1_80 else 30
    ours, theirs = SrtpKey(suite, bytes(range(size))), SrtpKey(suite, bytes(range(100, 100 + size)))
    secure = RtpPeer(local_key=theirs, remote_key=ours)
    alice, a = connect(peer=secure, local_srtp=ours, remote_srtp=theirs)
    bob, b = connect()
    engine.bridge(a, b)
    talk(1.0, alice, bob)
    assert listen(alice.heard()).is_tone(1000, -13)
    assert listen(bob.heard()).is_tone(440, -13)
    assert alice.failures == 0
    assert engine.statistics(a).srtp_failures == 0


def test_a_wrong_key_is_counted_and_silent(engine: MediaEngine, connect: Connect) -> None:
    suite = SrtpSuite.AES_CM_128_HMAC_SHA1_80
    ours, theirs, wrong = (SrtpKey(suite, bytes([n]) * 30) for n in range(3))
    alice, a = connect(peer=RtpPeer(local_key=wrong, remote_key=ours), local_srtp=ours, remote_srtp=theirs)
    bob, b = connect()
    engine.bridge(a, b)
    talk(0.6, alice, bob)
    assert bob.received == []
    statistics = engine.statistics(a)
    assert statistics.srtp_failures == 30
    assert statistics.packets_received == 0
    assert listen(alice.heard()).is_tone(1000), "the other direction has the right key"


def test_strangers_are_dropped_before_the_latch_and_after(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    stranger, neighbour = RtpPeer("127.0.0.2"), RtpPeer()
    engine.bridge(a, b)
    for intruder in (stranger, neighbour):
        intruder.remote = alice.remote
        intruder.play(tone(2000, 2000))
    converse(0.2, stranger, silent=(bob,))
    assert bob.received == []
    assert engine.statistics(a).strangers == 10
    alice.play(tone(440, 1000))
    converse(1.0, alice, stranger, neighbour, silent=(bob,))
    heard = bob.heard()
    assert listen(heard).is_tone(440, -13)
    assert level_at(heard[2000:6000], 2000) < -45
    assert engine.statistics(a).remote == alice.address
    assert stranger.received == neighbour.received == []
    stranger.close()
    neighbour.close()


def test_a_phone_behind_nat_is_latched_where_it_was_allowed(engine: MediaEngine, connect: Connect) -> None:
    """It announced a private address; its packets come from where its signalling came from."""
    bob, b = connect()
    alice, a = connect(remote=("192.0.2.1", 4000), latch_from=("127.0.0.1",))
    engine.bridge(a, b)
    talk(1.0, alice, bob)
    assert listen(bob.heard()).is_tone(440, -13)
    assert listen(alice.heard()).is_tone(1000, -13)
    assert engine.statistics(a).remote == alice.address


def test_a_phone_that_moves_is_followed_after_silence(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    talk(0.4, alice, bob)
    moved = RtpPeer(ssrc=77)
    moved.remote = alice.remote
    converse(2.3, bob, silent=(alice,))
    bob.forget()
    talk(1.2, moved, bob)
    assert listen(bob.heard()[-4000:]).is_tone(440, -13)
    assert listen(moved.heard()).is_tone(1000, -13)
    assert engine.statistics(a).remote == moved.address
    moved.close()


def test_a_new_negotiation_moves_the_media(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    talk(0.4, alice, bob)
    carol = RtpPeer(payload_type=8, ssrc=99)
    carol.remote = alice.remote
    engine.configure(a, settings_for(carol, 8))
    alice.forget()
    bob.forget()
    carol.play(tone(700, 1500))
    bob.play(tone(1000, 1500))
    converse(1.5, carol, bob, silent=(alice,))
    assert listen(bob.heard()[4000:]).is_tone(700, -13)
    assert listen(carol.heard()).is_tone(1000, -13)
    assert len(alice.received) <= 1
    carol.close()


def test_hold_directions_are_kept(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect(may_send=False)
    engine.bridge(a, b)
    talk(0.5, alice, bob)
    assert bob.received == []
    assert listen(alice.heard()).is_tone(1000)
    engine.configure(b, settings_for(bob, may_receive=False))
    alice.forget()
    talk(0.5, alice, bob)
    assert listen(bob.heard()).is_tone(440)
    assert level_of(alice.heard()[800:]) < -60


def test_leaving_a_bridge_is_silence_for_both(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    talk(0.4, alice, bob)
    engine.unbridge(a)
    converse(0.1, silent=(alice, bob))
    alice.forget()
    bob.forget()
    talk(0.4, alice, bob)
    assert level_of(alice.heard()) < -60
    assert level_of(bob.heard()) < -60


def test_echo(engine: MediaEngine, connect: Connect) -> None:
    alice, a = connect()
    engine.bridge(a, a)
    alice.play(tone(440, 600))
    converse(0.7, alice)
    assert listen(alice.heard()).is_tone(440, -13)


def test_ipv6(engine: MediaEngine, connect: Connect) -> None:
    try:
        six = RtpPeer("::1")
    except OSError:
        pytest.skip("no IPv6 loopback on this machine")
    (alice, a), (bob, b) = connect(peer=six), connect()
    engine.bridge(a, b)
    talk(0.6, alice, bob)
    assert listen(alice.heard()).is_tone(1000)
    assert listen(bob.heard()).is_tone(440)
    assert engine.statistics(a).remote == six.address


def test_partners_of_many_threads_meet(engine: MediaEngine, connect: Connect) -> None:
    """Legs open on the least loaded thread in turn; bridged criss-cross they all must move, mid-call too."""
    phones = [connect() for _ in range(4)]
    (alice, a), (bob, b), (carol, c), (dave, d) = phones
    engine.bridge(a, b)
    engine.bridge(c, d)
    talk(0.3, alice, bob)
    engine.bridge(b, c)
    engine.bridge(a, d)
    for peer, _ in phones:
        peer.forget()
    for frequency, (peer, _) in zip((400, 700, 1100, 1600), phones, strict=True):
        peer.play(tone(frequency, 800))
    converse(0.8, alice, bob, carol, dave)
    assert [listen(peer.heard()).frequency for peer, _ in phones] == pytest.approx([1600, 1100, 700, 400], abs=5)


def test_a_bridge_outlives_a_burst_of_garbage(engine: MediaEngine, connect: Connect) -> None:
    (alice, a), (bob, b) = connect(), connect()
    engine.bridge(a, b)
    talk(0.2, alice, bob)
    assert alice.remote is not None
    for garbage in (b"", b"\x80", bytes(11), bytes(12), b"\x80\x00" + bytes(2_000), b"\x9f" * 60, b"\xff" * 1_500):
        alice.socket.sendto(garbage, alice.remote)
        alice.socket.sendto(garbage, (alice.remote[0], alice.remote[1] + 1))
    bob.forget()
    talk(0.6, alice, bob)
    assert listen(bob.heard()).is_tone(440, -13)
    assert engine.statistics(a).malformed > 0
