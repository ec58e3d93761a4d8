"""What offer and answer have in common: writing our audio line, reading the transport side of the peer's."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from ipaddress import ip_address

from sent.sdp.capabilities import Capabilities
from sent.sdp.crypto import Crypto
from sent.sdp.description import (
    UNSPECIFIED,
    Direction,
    MediaDescription,
    Origin,
    SessionDescription,
)
from sent.sdp.formats import Format, is_speech, number_from

PLAIN = frozenset({"RTP/AVP", "RTP/AVPF"})
SECURE = frozenset({"RTP/SAVP", "RTP/SAVPF"})

PACKET_TIMES = (10, 20, 30, 40, 60)
"""What the engine packetizes into, in ms."""


def audio_line(
    local: Capabilities,
    *,
    protocol: str,
    formats: Sequence[Format],
    direction: Direction,
    cryptos: Iterable[Crypto],
    rtcp_mux: bool,
) -> MediaDescription:
    attributes: list[tuple[str, str | None]] = []
    for fmt in formats:
        attributes.append(("rtpmap", fmt.rtpmap))
        if fmt.fmtp:
            attributes.append(("fmtp", f"{fmt.payload_type} {fmt.fmtp}"))
    attributes.append(("ptime", str(local.packet_ms)))
    attributes.append((direction.value, None))
    if local.rtcp_port is not None and local.rtcp_port != local.port + 1:
        attributes.append(("rtcp", str(local.rtcp_port)))
    if rtcp_mux:
        attributes.append(("rtcp-mux", None))
    attributes += [("crypto", str(crypto)) for crypto in cryptos]
    numbers = tuple(str(fmt.payload_type) for fmt in formats)
    return MediaDescription("audio", local.port, protocol, numbers, attributes=tuple(attributes))


def our_session(
    local: Capabilities, media: tuple[MediaDescription, ...], session_id: int, previous: SessionDescription | None
) -> SessionDescription:
    """Our description. The version of ``o=`` goes up by one exactly when something changed (RFC 3264 §8)."""
    if previous is None:
        return SessionDescription(Origin(session_id, 1, local.address), media, local.address)
    origin = previous.origin
    same = SessionDescription(origin, media, local.address)
    if str(same) == str(previous):
        return same
    return replace(same, origin=replace(origin, version=origin.version + 1))


def is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def remote_addresses(
    session: SessionDescription, media: MediaDescription, *, rtcp_mux: bool
) -> tuple[tuple[str, int] | None, tuple[str, int] | None]:
    """Where the peer wants RTP and RTCP; None where it gives no IP address. Host names are permitted by the RFC, but
    nobody resolves one in the middle of an answer: such a peer is found by the packets that it sends."""
    address = session.address_of(media)
    if address is None or address in UNSPECIFIED or not is_ip_address(address):
        return None, None
    if rtcp_mux:
        return (address, media.port), (address, media.port)
    port_text, _, rest = (media.get("rtcp") or "").partition(" ")
    port = number_from(port_text, 1, 65_535)
    if port is None:
        # RFC 3550 §11: the next higher port. 65535 has none.
        return (address, media.port), (address, media.port + 1) if media.port < 65_535 else None
    parts = rest.split()
    return (address, media.port), (parts[2] if len(parts) == 3 and is_ip_address(parts[2]) else address, port)


def old_hold(session: SessionDescription, media: MediaDescription) -> bool:
    """``c=0.0.0.0``: hold as RFC 2543 did it, still in use (RFC 3264 §8.4)."""
    return session.address_of(media) in UNSPECIFIED


def their_direction(session: SessionDescription, media: MediaDescription) -> Direction:
    """The peer's direction; one without an address cannot receive, whatever it says."""
    direction = session.direction_of(media)
    if not old_hold(session, media):
        return direction
    return Direction.SENDONLY if direction.sends else Direction.INACTIVE


def packet_time(media: MediaDescription, default: int) -> int:
    """The peer's ``ptime``, bounded by its ``maxptime``, rounded down to what we can send."""
    wanted = number_from(media.get("ptime"), 1, 1000) or default
    wanted = min(wanted, number_from(media.get("maxptime"), 1, 1000) or wanted)
    return max((time for time in PACKET_TIMES if time <= wanted), default=PACKET_TIMES[0])


def describe(formats: Iterable[Format]) -> str:
    """Codec names for people, bounded, since peers choose them."""
    names = list(dict.fromkeys(fmt.name for fmt in formats if is_speech(fmt)))
    return ", ".join(names[:8]) + (" …" if len(names) > 8 else "") if names else "none"
