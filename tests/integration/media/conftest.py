"""Real sockets on loopback, real time, the real engine; phones in plain Python."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

import pytest

from sent.media.port import MediaEngine
from sent.media.types import MediaEvent, MediaLegId, RecordingClosed, RecordingHandle
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


@pytest.fixture
def stop(engine: MediaEngine) -> Callable[[RecordingHandle], None]:
    """Stop a recording and wait for its file to be whole; events that come meanwhile are lost."""

    async def until_closed(recording: RecordingHandle) -> None:
        closed = asyncio.Event()

        def heard(event: MediaEvent) -> None:
            if event == RecordingClosed(recording):
                closed.set()

        engine.listen(heard)
        engine.stop_recording(recording)
        await asyncio.wait_for(closed.wait(), 2)

    return lambda recording: asyncio.run(until_closed(recording))
