"""What crosses the border to the media engine: plain, frozen values. No behaviour."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NewType

MediaLegId = NewType("MediaLegId", int)
PlaybackId = NewType("PlaybackId", int)
RecordingHandle = NewType("RecordingHandle", int)


@dataclass(frozen=True, slots=True)
class Codec:
    """One codec as negotiated. ``payload_type`` is what is on the wire in that direction (RFC 3551 §6)."""

    payload_type: int
    name: str
    """``PCMU``, ``PCMA``, ``opus``; compared without case."""
    clock_rate: int = 8000
    channels: int = 1
    fmtp: str = ""


class SrtpSuite(StrEnum):
    """SDES crypto suites (RFC 4568 §6.2, RFC 6188, RFC 7714)."""

    AES_CM_128_HMAC_SHA1_80 = "AES_CM_128_HMAC_SHA1_80"
    AES_CM_128_HMAC_SHA1_32 = "AES_CM_128_HMAC_SHA1_32"
    AES_256_CM_HMAC_SHA1_80 = "AES_256_CM_HMAC_SHA1_80"


@dataclass(frozen=True, slots=True, repr=False)
class SrtpKey:
    """A master key with its salt, in the suite's length (30 octets for AES-128, 46 for AES-256)."""

    suite: SrtpSuite
    key_salt: bytes


@dataclass(frozen=True, slots=True)
class RtpSettings:
    """All that a negotiation decided for one RTP leg; given whole, each time it changes.

    ``receive``: what the peer may send us, with *our* payload types. ``send``: the one codec that we send,
    with the *peer's* payload type. Telephone-event payload types are RFC 4733; None where not negotiated;
    ``dtmf_clock`` is the rate of the one that goes with the codec (many phones offer telephone-event/8000 alone beside
    Opus).
    ``remote`` is (address, port) from the SDP, None until known. ``latch_from`` lists the addresses that a first
    packet may come from besides ``remote`` (the signalling source of a phone behind NAT); once latched,
    everything else is dropped and counted as a stranger.
    """

    receive: tuple[Codec, ...]
    send: Codec
    remote: tuple[str, int] | None = None
    remote_rtcp: tuple[str, int] | None = None
    rtcp_mux: bool = False
    latch_from: tuple[str, ...] = ()
    dtmf_receive: int | None = None
    dtmf_send: int | None = None
    dtmf_clock: int = 8000
    packet_ms: int = 20
    may_send: bool = True
    may_receive: bool = True
    local_srtp: SrtpKey | None = None
    remote_srtp: SrtpKey | None = None
    silence_ms: tuple[int, ...] = (5_000, 30_000)
    """Thresholds without RTP from the peer; each crossing gives one `Silence` event.

    The last one, after which a peer is taken for gone, also asks that no RTCP report came: a phone that is muted or
    holds may send those only.
    """


@dataclass(frozen=True, slots=True)
class RtpPorts:
    """Where an RTP leg listens. ``rtcp_port`` is ``port + 1`` (RFC 3550 §11)."""

    address: str
    port: int
    rtcp_port: int


@dataclass(frozen=True, slots=True)
class ToneStep:
    """Up to two frequencies in Hz (none: silence) for ``ms`` milliseconds; ``level_dbm0`` is that of both together."""

    frequencies: tuple[float, ...]
    ms: int
    level_dbm0: float = -13.0


@dataclass(frozen=True, slots=True)
class LegStatistics:
    """Counters of one leg since it opened. Loss counts what the jitter buffer discarded."""

    packets_sent: int = 0
    packets_received: int = 0
    bytes_sent: int = 0
    bytes_received: int = 0
    packets_lost: int = 0
    packets_discarded: int = 0
    concealed_ms: int = 0
    loss_percent: float = 0.0
    """Received direction, whole call, 0 to 100."""
    remote_loss_percent: float = 0.0
    """What the peer's RTCP reports say that it lost of what we sent."""
    jitter_ms: float = 0.0
    round_trip_ms: float | None = None
    buffer_delay_ms: float = 0.0
    r_factor: float | None = None
    mos: float | None = None
    """E-model, ITU-T G.107; None before enough packets were seen, and for a codec without known values."""
    model: str | None = None
    """The formula behind ``r_factor`` and ``mos`` with the codec whose values it takes. Opus has no agreed narrowband
    values: ``G.107, Opus taken as G.711 with concealment`` is not comparable with other codecs' figures."""
    strangers: int = 0
    """Packets dropped since they came from an address that took no part in the negotiation."""
    srtp_failures: int = 0
    malformed: int = 0
    unexpected: int = 0
    """Valid packets without use: a payload type that was not negotiated (comfort noise), or no payload."""
    remote: tuple[str, int] | None = None
    """Where packets really come from (after the latch)."""
    transcoded: bool = False


@dataclass(frozen=True, slots=True)
class Digit:
    leg: MediaLegId
    digit: str
    """One of ``0-9 * # A-D``."""
    duration_ms: int


@dataclass(frozen=True, slots=True)
class PlaybackEnded:
    leg: MediaLegId
    playback: PlaybackId
    completed: bool
    """False when it was stopped or its leg closed."""


@dataclass(frozen=True, slots=True)
class Silence:
    """No RTP was received for ``ms`` (one of the thresholds of `RtpSettings.silence_ms`), while we may receive."""

    leg: MediaLegId
    ms: int


@dataclass(frozen=True, slots=True)
class MediaResumed:
    leg: MediaLegId


@dataclass(frozen=True, slots=True)
class MarkReached:
    leg: MediaLegId
    name: str


@dataclass(frozen=True, slots=True)
class StreamReadable:
    """A PCM stream leg has audio waiting (edge: once until it was read empty)."""

    leg: MediaLegId


@dataclass(frozen=True, slots=True)
class RecordingFailed:
    recording: RecordingHandle
    error: str
    """The operating system's words, e.g. ``No space left on device``."""


@dataclass(frozen=True, slots=True)
class RecordingClosed:
    """After ``stop_recording``: the file is whole and on the disk. `RecordingFailed` may come instead."""

    recording: RecordingHandle


MediaEvent = (
    Digit | PlaybackEnded | Silence | MediaResumed | MarkReached | StreamReadable | RecordingFailed | RecordingClosed
)


@dataclass(frozen=True, slots=True)
class EngineHealth:
    """For metrics: ``late_ms`` is how late the media threads woke, over the last ten seconds."""

    legs: int
    sockets: int
    threads: int
    late_p50_ms: float
    late_p99_ms: float
    late_max_ms: float
    recordings: int = 0
    counters: dict[str, int] = field(default_factory=dict)
