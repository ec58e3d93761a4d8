"""An RTP phone in plain Python sockets: sends tones and digits in real time, keeps what it hears."""

from __future__ import annotations

import select
import socket
import struct
import time
from array import array
from collections.abc import Callable
from dataclasses import dataclass, replace

from sent.media.types import Codec, MediaLegId, RtpSettings, SrtpKey
from sent.testing.audio import Samples, alaw_decode, alaw_encode, ulaw_decode, ulaw_encode
from sent.testing.srtp import SrtpContext, SrtpFailure

_DIGITS = "0123456789*#ABCD"
_HEADER = struct.Struct("!BBHII")
FRAME = 160
"""Samples of 20 ms at 8 kHz."""

_CODECS: dict[int, tuple[Callable[[Samples], bytes], Callable[[bytes], Samples]]] = {
    0: (ulaw_encode, ulaw_decode),
    8: (alaw_encode, alaw_decode),
}


@dataclass(frozen=True, slots=True)
class RtpPacket:
    """RFC 3550 §5.1, without contributing sources and extensions."""

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    def encode(self) -> bytes:
        second = self.payload_type | (0x80 if self.marker else 0)
        return _HEADER.pack(0x80, second, self.sequence, self.timestamp, self.ssrc) + self.payload

    @classmethod
    def decode(cls, data: bytes) -> RtpPacket | None:
        """None for RTCP and for anything else that is not RTP."""
        if len(data) < 12 or data[0] >> 6 != 2 or 192 <= data[1] <= 223:
            return None
        _, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        start = 12 + 4 * (data[0] & 0x0F)
        return cls(second & 0x7F, sequence, timestamp, ssrc, data[start:], bool(second & 0x80))


class RtpPeer:
    """One phone on its own socket. ``play`` queues audio, `converse` sends and receives in real time.

    ``payload_type`` 0 is PCMU and 8 is PCMA (RFC 3551 §6). With keys, what it sends is SRTP under ``local_key`` and
    what it hears must be SRTP under ``remote_key``.
    """

    def __init__(
        self,
        address: str = "127.0.0.1",
        payload_type: int = 0,
        *,
        dtmf_payload_type: int = 101,
        local_key: SrtpKey | None = None,
        remote_key: SrtpKey | None = None,
        ssrc: int = 0x5E17_0001,
    ) -> None:
        family = socket.AF_INET6 if ":" in address else socket.AF_INET
        self.socket = socket.socket(family, socket.SOCK_DGRAM)
        self.socket.bind((address, 0))
        self.socket.setblocking(False)
        self.address: tuple[str, int] = self.socket.getsockname()[:2]
        self.remote: tuple[str, int] | None = None
        self.received: list[RtpPacket] = []
        self.sent: list[RtpPacket] = []
        self.sources: list[tuple[str, int]] = []
        self.arrivals: list[float] = []
        self.digits: list[tuple[str, int]] = []
        """(digit, duration in timestamp units), once per event."""
        self.failures = 0
        """Packets whose SRTP authentication failed."""
        self._payload_type = payload_type
        self._dtmf = dtmf_payload_type
        self._encode, self._decode = _CODECS[payload_type]
        self._local = SrtpContext(local_key) if local_key else None
        self._remote = SrtpContext(remote_key) if remote_key else None
        self._ssrc = ssrc
        self._sequence, self._timestamp = 1000, 8000
        self._queue: Samples = array("h")
        self._events: list[tuple[int, int]] = []
        self._last_event: int | None = None

    def play(self, samples: Samples) -> None:
        self._queue.extend(samples)

    def press(self, digit: str, ms: int = 100) -> None:
        """Queue an RFC 4733 event; it goes out before more audio does."""
        self._events.append((_DIGITS.index(digit), ms))

    def heard(self, payload_type: int | None = None) -> Samples:
        """All audio received so far, in sequence order, decoded; lost packets are left out."""
        wanted = self._payload_type if payload_type is None else payload_type
        packets = sorted((p for p in self.received if p.payload_type == wanted), key=lambda p: p.sequence)
        joined: Samples = array("h")
        for packet in packets:
            joined.extend(_CODECS[wanted][1](packet.payload))
        return joined

    def forget(self) -> None:
        """Start listening anew."""
        self.received.clear()
        self.arrivals.clear()
        self.sources.clear()

    def send_frame(self) -> None:
        """The next 20 ms: an event packet where a digit is being pressed, audio, or else silence."""
        if self.remote is None:
            return
        if self._events:
            self._send_digit(*self._events.pop(0))
            return
        frame = self._queue[:FRAME]
        del self._queue[:FRAME]
        frame.extend([0] * (FRAME - len(frame)))
        self._send(RtpPacket(self._payload_type, self._sequence, self._timestamp, self._ssrc, self._encode(frame)))
        self._timestamp += FRAME

    def skip(self, ms: int) -> None:
        """Its clock runs on while it sends nothing (silence suppression, RFC 3550 §5.1); the queue waits."""
        self._timestamp += 8 * ms

    def receive_waiting(self) -> None:
        while True:
            try:
                data, source = self.socket.recvfrom(2048)
            except (BlockingIOError, ConnectionRefusedError):
                return
            self._take(data, (source[0], source[1]))

    def close(self) -> None:
        self.socket.close()

    def _take(self, data: bytes, source: tuple[str, int]) -> None:
        if len(data) > 1 and 192 <= data[1] <= 223:
            return
        if self._remote is not None:
            try:
                data = self._remote.unprotect(data)
            except SrtpFailure:
                self.failures += 1
                return
        packet = RtpPacket.decode(data)
        if packet is None:
            return
        self.sources.append(source)
        self.arrivals.append(time.monotonic())
        self.received.append(packet)
        if packet.payload_type == self._dtmf and len(packet.payload) >= 4:
            event, flags, duration = struct.unpack_from("!BBH", packet.payload)
            if flags & 0x80 and packet.timestamp != self._last_event:
                self._last_event = packet.timestamp
                self.digits.append((_DIGITS[event], duration))

    def _send_digit(self, event: int, ms: int) -> None:
        """All packets of the event at once, the last three times (RFC 4733 §2.5.1.4): receivers must not care."""
        for n in range(1, ms // 20 + 1):
            last = n == ms // 20
            for _ in range(3 if last else 1):
                payload = struct.pack("!BBH", event, 0x8A if last else 0x0A, n * FRAME)
                self._send(RtpPacket(self._dtmf, self._sequence, self._timestamp, self._ssrc, payload, n == 1))
        self._timestamp += FRAME * (ms // 20)

    def _send(self, packet: RtpPacket) -> None:
        if self.remote is None:
            return
        data = packet.encode()
        self.socket.sendto(self._local.protect(data) if self._local else data, self.remote)
        self.sent.append(packet)
        self._sequence = (self._sequence + 1) & 0xFFFF


Connect = Callable[..., tuple[RtpPeer, MediaLegId]]
"""The fixture of engine tests that makes a phone and the leg that it talks to."""


def settings_for(peer: RtpPeer, payload_type: int = 0, **changes: object) -> RtpSettings:
    """What a negotiation with ``peer`` gives: one codec, telephone-event 101, its address; then the changes."""
    codec = Codec(payload_type, {0: "PCMU", 8: "PCMA"}[payload_type])
    plain = RtpSettings(receive=(codec,), send=codec, remote=peer.address, dtmf_receive=101, dtmf_send=101)
    return replace(plain, **changes)  # type: ignore[arg-type]  # the keys are RtpSettings' own


def converse(seconds: float, *peers: RtpPeer, silent: tuple[RtpPeer, ...] = ()) -> None:
    """Let all peers send a packet each 20 ms of real time; all of them, and ``silent`` ones, receive."""
    everyone = (*peers, *silent)
    sockets = [peer.socket for peer in everyone]
    start = time.monotonic()
    for frame in range(round(seconds * 50)):
        for peer in peers:
            peer.send_frame()
        until = start + (frame + 1) * 0.02
        while (left := until - time.monotonic()) > 0:
            select.select(sockets, [], [], left)
            for peer in everyone:
                peer.receive_waiting()
