"""Make an offer (RFC 3264 §5, §8)."""

from __future__ import annotations

from sent.sdp.audio_line import audio_line, our_session
from sent.sdp.capabilities import Capabilities, Encryption
from sent.sdp.crypto import Crypto, read_cryptos
from sent.sdp.description import Direction, MediaDescription, SessionDescription
from sent.sdp.formats import Format, formats_of


def audio_index(session: SessionDescription) -> int | None:
    """The line that carries the audio: the first one that is not switched off."""
    for index, media in enumerate(session.media):
        if media.kind == "audio" and media.port:
            return index
    return None


def _number(formats: tuple[Format, ...], earlier: list[Format]) -> list[Format]:
    """Give each format the payload type that it had in the session, and no other format that one: a mapping, once
    made, holds (RFC 3264 §8.3.2)."""
    mapping = {fmt.key: fmt.payload_type for fmt in earlier}
    taken = set(mapping.values())
    numbered = []
    for fmt in formats:
        number = mapping.get(fmt.key)
        if number is None:
            number = fmt.payload_type
            if number in taken:
                number = next(free for free in (*range(96, 128), *range(35, 64)) if free not in taken)
        taken.add(number)
        numbered.append(fmt.numbered(number))
    return numbered


def _events(local: Capabilities) -> tuple[Format, ...]:
    """Telephone-events on the clocks of our codecs, and always at 8000 Hz."""
    clocks = {fmt.clock_rate for fmt in local.codecs} | {8000}
    return tuple(fmt for fmt in local.events if fmt.clock_rate in clocks)


def _cryptos(local: Capabilities, before: MediaDescription | None) -> list[Crypto]:
    """Our keys, tagged from 1; on a re-offer exactly those of before, so that keys do not change in mid-call."""
    if before is not None:
        return read_cryptos(before.get_all("crypto"))[0]
    if local.encryption is Encryption.NEVER:
        return []
    return [
        Crypto(tag, crypto.suite, crypto.key_salt, crypto.lifetime) for tag, crypto in enumerate(local.cryptos, start=1)
    ]


def make_offer(
    local: Capabilities,
    *,
    session_id: int,
    direction: Direction = Direction.SENDRECV,
    previous: SessionDescription | None = None,
) -> SessionDescription:
    """Our offer. ``previous`` is the last description that *we* sent in this session, offer or answer: then the
    lines keep their order (refused ones stay, with port 0), payload types and keys their meaning, and ``session_id``
    is ignored. Give the same arguments, and the same description comes out, version included (session refresh).
    """
    index = audio_index(previous) if previous is not None else None
    before = previous.media[index] if previous is not None and index is not None else None
    earlier = formats_of(before) if before is not None else []
    protocol = "RTP/SAVP" if local.encryption is Encryption.REQUIRED else "RTP/AVP"
    if before is not None:
        protocol = before.protocol
    line = audio_line(
        local,
        protocol=protocol,
        formats=_number((*local.codecs, *_events(local)), earlier),
        direction=direction,
        cryptos=_cryptos(local, before),
        rtcp_mux=local.rtcp_mux,
    )
    lines = [line]
    if previous is not None:
        lines = [media.refused() for media in previous.media]
        if index is None:
            lines.append(line)
        else:
            lines[index] = line
    return our_session(local, tuple(lines), session_id, previous)
