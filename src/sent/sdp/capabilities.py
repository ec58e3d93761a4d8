"""What we bring to a negotiation, and what comes out of it. Values only; `offer` and `answer` do the work."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from sent.sdp.crypto import Crypto
from sent.sdp.description import UNSPECIFIED, Direction, SessionDescription
from sent.sdp.formats import Format


class Encryption(StrEnum):
    """SRTP with SDES keys."""

    NEVER = "never"
    OPTIONAL = "optional"
    """Taken where it is offered; offered best-effort, as ``a=crypto`` under the plain profile."""
    REQUIRED = "required"


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Our side of one audio line.

    ``codecs`` are in order of preference, with the payload types that we would like for them (the peer's are taken
    where it offers first); ``fmtp`` is what we want to receive. ``address`` is the one to advertise. ``cryptos``
    holds one fresh key per suite that we can do, best first, and stays the same as long as the leg lives. An address
    that nobody can send to, or no codec, is a ``ValueError``: to the peer it would mean hold.
    """

    address: str
    port: int
    codecs: tuple[Format, ...]
    events: tuple[Format, ...] = (
        Format(101, "telephone-event", 8000, fmtp="0-15"),
        Format(110, "telephone-event", 48000, fmtp="0-15"),
    )
    rtcp_port: int | None = None
    """None: ``port + 1`` (RFC 3550 §11)."""
    rtcp_mux: bool = True
    packet_ms: int = 20
    encryption: Encryption = Encryption.NEVER
    cryptos: tuple[Crypto, ...] = ()

    def __post_init__(self) -> None:
        if self.address in UNSPECIFIED or not self.codecs:
            raise ValueError("an address that peers can reach and at least one codec are needed")


@dataclass(frozen=True, slots=True)
class Negotiated:
    """All that offer and answer decided about the audio line.

    ``receive``: what the peer may send, with *our* payload types and fmtp. ``send``: what we may send, the agreed one
    first, with the *peer's* payload types and fmtp. ``direction`` is ours. Crypto is both keys or none.

    ``remote`` is None while the peer has no address: on hold in the old way (``c=0.0.0.0``; ``direction`` then does
    not send either), or where it gave a host name.
    """

    media_index: int
    receive: tuple[Format, ...]
    send: tuple[Format, ...]
    direction: Direction
    held: bool
    """We would send, but the peer does not want to hear us: it put us on hold (RFC 3264 §8.4, also the old way)."""
    remote: tuple[str, int] | None
    remote_rtcp: tuple[str, int] | None
    rtcp_mux: bool = False
    dtmf_receive: int | None = None
    dtmf_send: int | None = None
    dtmf_clock: int = 8000
    """Of both telephone-events: the codec's clock, or 8000 Hz, which many phones offer alone beside Opus."""
    packet_ms: int = 20
    local_crypto: Crypto | None = None
    remote_crypto: Crypto | None = None

    @property
    def codec(self) -> Format:
        """The one that we send."""
        return self.send[0]

    @property
    def may_send(self) -> bool:
        return self.direction.sends

    @property
    def may_receive(self) -> bool:
        return self.direction.receives


@dataclass(frozen=True, slots=True)
class Answer:
    """``description`` goes to the peer, ``negotiated`` to the media engine."""

    description: SessionDescription
    negotiated: Negotiated
