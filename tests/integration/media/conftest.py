"""Real sockets on loopback, real time, the real engine; phones in plain Python."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from sent.media.port import MediaEngine
from sent.media.types import MediaLegId
from sent.testing.rtp_peer import Connect, RtpPeer, settings_for


@pytest.fixture
def engine() -> Iterator[MediaEngine]:
    pytest.importorskip("sent.media._engine", reason="the media extension is not built")
    from sent.media.engine import RustEngine

    made = RustEngine(24_000, 24_999, threads=2)
    yield made
    counters = made.health().counters
    made.shut_down()
    assert counters["panics"] == 0


@pytest.fixture
def connect(engine: MediaEngine) -> Iterator[Connect]:
    """A phone and the leg that it talks to, both knowing of each other."""
    peers: list[RtpPeer] = []

    def make(payload_type: int = 0, *, peer: RtpPeer | None = None, **changes: object) -> tuple[RtpPeer, MediaLegId]:
        peer = peer or RtpPeer(payload_type=payload_type)
        peers.append(peer)
        leg, ports = engine.open_rtp(peer.address[0])
        peer.remote = (ports.address, ports.port)
        engine.configure(leg, settings_for(peer, payload_type, **changes))
        return peer, leg

    yield make
    for peer in peers:
        peer.close()
