"""Answer an offer, and read the answer to ours (RFC 3264 §6, §7)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sent.sdp.audio_line import (
    PLAIN,
    SECURE,
    audio_line,
    describe,
    our_session,
    packet_time,
    remote_addresses,
    their_direction,
)
from sent.sdp.capabilities import Answer, Capabilities, Encryption, Negotiated
from sent.sdp.crypto import Crypto, read_cryptos
from sent.sdp.description import Direction, MediaDescription, SessionDescription, direction_of
from sent.sdp.errors import MalformedSdp, NoCommonCodec
from sent.sdp.formats import Format, events_for, formats_of, is_speech
from sent.sdp.offer import audio_index


@dataclass(frozen=True, slots=True)
class _Fit:
    """How one offered audio line can be taken. ``ours`` and ``theirs`` are the same codecs in the same order."""

    ours: tuple[Format, ...]
    theirs: tuple[Format, ...]
    crypto: tuple[Crypto, Crypto] | None
    """Ours and theirs."""


def _where(index: int, media: MediaDescription) -> str:
    return f"media line {index + 1} ({media.kind[:20]} {media.protocol[:30]})"


def _choose_crypto(index: int, media: MediaDescription, local: Capabilities) -> tuple[Crypto, Crypto] | None:
    """Our key and theirs, or None for plain RTP. Raises `NoCommonCodec` where one insists on what the other lacks."""
    secure = media.protocol.upper() in SECURE
    offered = media.get_all("crypto")
    usable, problems = read_cryptos(offered)
    if local.encryption is not Encryption.NEVER:
        own = {crypto.suite: crypto for crypto in local.cryptos}
        for theirs in usable:
            if theirs.suite in own:
                return Crypto(theirs.tag, theirs.suite, own[theirs.suite].key_salt), theirs
    where = _where(index, media)
    if secure and local.encryption is Encryption.NEVER:
        raise NoCommonCodec(f"{where} asks for SRTP, which is switched off here", 302)
    if secure and not offered:
        raise NoCommonCodec(f"{where} asks for SRTP but has no a=crypto key", 302)
    if secure:
        missing = "; ".join(problems[:4]) or "no common suite: " + ", ".join(crypto.suite for crypto in usable[:4])
        raise NoCommonCodec(f"{where} has no usable a=crypto key ({missing})", 302)
    if local.encryption is Encryption.REQUIRED:
        raise NoCommonCodec(f"{where} is not encrypted, and SRTP is required here", 302)
    return None


def _order(offered: Sequence[Format], local: Capabilities, prefer: Sequence[str]) -> list[Format]:
    """The offered formats that we can do: those in ``prefer`` first, then as offered (RFC 3264 §6.1)."""
    known = {fmt.key for fmt in local.codecs}
    common = [fmt for fmt in offered if fmt.key in known and is_speech(fmt)]
    unique = list({fmt.key: fmt for fmt in reversed(common)}.values())[::-1]
    rank = {name.lower(): position for position, name in enumerate(prefer)}
    return sorted(unique, key=lambda fmt: rank.get(fmt.name.lower(), len(rank)))


def _events_in(offered: Sequence[Format], codecs: Sequence[Format], local: Capabilities) -> list[Format]:
    """The offered telephone-events that go with the chosen codecs, one per clock, as far as we have them."""
    ours = {fmt.clock_rate for fmt in local.events}
    found = {}
    for codec in codecs:
        event = events_for([fmt for fmt in offered if fmt.clock_rate in ours], codec.clock_rate)
        if event is not None:
            found[event.clock_rate] = event
    return list(found.values())


def _our_numbers(theirs: Sequence[Format], local: Capabilities, earlier: Sequence[Format]) -> list[Format]:
    """The same formats with our payload types and parameters: the number that we gave them before in this session
    (RFC 3264 §8.3.2), else the one that the offer has."""
    mapping = {fmt.key: fmt.payload_type for fmt in earlier}
    own = {fmt.key: fmt for fmt in (*local.codecs, *local.events)}
    taken = set(mapping.values())
    numbered = []
    for fmt in theirs:
        number = mapping.get(fmt.key)
        if number is None:
            number = fmt.payload_type
            if number in taken:
                number = next(free for free in (*range(96, 128), *range(35, 64)) if free not in taken)
        taken.add(number)
        # Their spelling of the name, our parameters: fmtp says what its writer wants to receive.
        numbered.append(Format(number, fmt.name, fmt.clock_rate, fmt.channels, own[fmt.key].fmtp))
    return numbered


def _fit(
    index: int, media: MediaDescription, local: Capabilities, prefer: Sequence[str], earlier: Sequence[Format]
) -> _Fit:
    """Raises `NoCommonCodec` with what this line lacks."""
    if media.port == 0:
        raise NoCommonCodec(f"{_where(index, media)} is switched off (port 0)", 304)
    if media.protocol.upper() not in PLAIN | SECURE:
        raise NoCommonCodec(f"{_where(index, media)} uses a transport protocol that is not available here", 302)
    offered = formats_of(media)
    codecs = _order(offered, local, prefer)
    if not codecs:
        raise NoCommonCodec(
            f"{_where(index, media)} has no common codec: offered {describe(offered)}; here {describe(local.codecs)}",
            305,
        )
    crypto = _choose_crypto(index, media, local)
    theirs = [*codecs, *_events_in(offered, codecs, local)]
    return _Fit(tuple(_our_numbers(theirs, local, earlier)), tuple(theirs), crypto)


def _first_fit(
    offer: SessionDescription, local: Capabilities, prefer: Sequence[str], earlier: Sequence[Format]
) -> tuple[int, _Fit]:
    """The first usable audio line. The error, if there is none, is that of the first audio line."""
    failure: NoCommonCodec | None = None
    for index, media in enumerate(offer.media):
        if media.kind != "audio":
            continue
        try:
            return index, _fit(index, media, local, prefer, earlier)
        except NoCommonCodec as error:
            failure = failure or error
    if failure is not None:
        raise failure
    kinds = ", ".join(media.kind[:20] for media in offer.media[:8]) or "none"
    raise NoCommonCodec(f"the offer has no audio line (media lines: {kinds})", 304)


def answer(
    offer: SessionDescription,
    local: Capabilities,
    *,
    session_id: int,
    prefer: Sequence[str] = (),
    direction: Direction = Direction.SENDRECV,
    previous: SessionDescription | None = None,
) -> Answer:
    """Answer ``offer``. The first usable audio line is taken, all others are refused with port 0 in their place.

    ``prefer`` are codec names to put first (what the other leg speaks). ``direction`` is what we would like; the
    answer never has more than the offer permits. ``previous`` is the last description that *we* sent in this session.
    Raises `NoCommonCodec`.
    """
    before = audio_index(previous) if previous is not None else None
    earlier = formats_of(previous.media[before]) if previous is not None and before is not None else []
    index, fit = _first_fit(offer, local, prefer, earlier)
    media = offer.media[index]
    rtcp_mux = local.rtcp_mux and media.get("rtcp-mux") is not None
    line = audio_line(
        local,
        protocol=media.protocol,
        formats=fit.ours,
        direction=_agree(direction, their_direction(offer, media)),
        cryptos=(fit.crypto[0],) if fit.crypto else (),
        rtcp_mux=rtcp_mux,
    )
    lines = tuple(line if at == index else other.refused() for at, other in enumerate(offer.media))
    negotiated = _negotiated(
        offer,
        index,
        ours=fit.ours,
        theirs=fit.theirs,
        wanted=direction,
        crypto=fit.crypto,
        rtcp_mux=rtcp_mux,
        packet_ms=local.packet_ms,
    )
    return Answer(our_session(local, lines, session_id, previous), negotiated)


def _agree(wanted: Direction, theirs: Direction) -> Direction:
    """Our direction: what we want, as far as the peer's permits."""
    return direction_of(sends=wanted.sends and theirs.receives, receives=wanted.receives and theirs.sends)


def _negotiated(
    remote: SessionDescription,
    index: int,
    *,
    ours: Sequence[Format],
    theirs: Sequence[Format],
    wanted: Direction,
    crypto: tuple[Crypto, Crypto] | None,
    rtcp_mux: bool,
    packet_ms: int,
) -> Negotiated:
    media = remote.media[index]
    their = their_direction(remote, media)
    rtp, rtcp = remote_addresses(remote, media, rtcp_mux=rtcp_mux)
    receive = tuple(fmt for fmt in ours if is_speech(fmt))
    send = tuple(fmt for fmt in theirs if is_speech(fmt))
    event_in, event_out = events_for(ours, receive[0].clock_rate), events_for(theirs, send[0].clock_rate)
    return Negotiated(
        media_index=index,
        receive=receive,
        send=send,
        direction=_agree(wanted, their),
        held=wanted.sends and not their.receives,
        remote=rtp,
        remote_rtcp=rtcp,
        rtcp_mux=rtcp_mux,
        dtmf_receive=event_in.payload_type if event_in is not None else None,
        dtmf_send=event_out.payload_type if event_out is not None else None,
        dtmf_clock=event_out.clock_rate if event_out is not None else 8000,
        packet_ms=packet_time(media, packet_ms),
        local_crypto=crypto[0] if crypto else None,
        remote_crypto=crypto[1] if crypto else None,
    )


def read_answer(our_offer: SessionDescription, their_answer: SessionDescription) -> Negotiated:
    """What the peer's answer makes of our offer. Raises `NoCommonCodec` if it refuses the audio line or picks what we
    did not offer, `MalformedSdp` if it does not fit the offer at all."""
    index = audio_index(our_offer)
    if index is None:
        raise NoCommonCodec("our offer had no audio line", 304)
    if index >= len(their_answer.media) or their_answer.media[index].kind != "audio":
        raise MalformedSdp("the answer's media lines are not those of the offer")
    offered, media = our_offer.media[index], their_answer.media[index]
    where = _where(index, media)
    if media.port == 0:
        raise NoCommonCodec(f"the peer refused {where}: offered {describe(formats_of(offered))}", 305)
    own_by_key = {fmt.key: fmt for fmt in formats_of(offered)}
    own_by_number = {str(fmt.payload_type): fmt for fmt in own_by_key.values()}
    theirs = [fmt for fmt in formats_of(media) if fmt.key in own_by_key]
    explained = {str(fmt.payload_type) for fmt in formats_of(media)}
    # Some answer with our dynamic number and no rtpmap; there is only one thing that this can mean.
    theirs += [own_by_number[text] for text in media.formats if text in own_by_number and text not in explained]
    if not any(map(is_speech, theirs)):
        raise NoCommonCodec(f"the answer picks no codec of our offer for {where}", 305)
    ours = [own_by_key[fmt.key] for fmt in theirs]
    return _negotiated(
        their_answer,
        index,
        ours=ours,
        theirs=theirs,
        wanted=our_offer.direction_of(offered),
        crypto=_answered_crypto(offered, media, where),
        rtcp_mux=offered.get("rtcp-mux") is not None and media.get("rtcp-mux") is not None,
        packet_ms=packet_time(offered, 20),
    )


def _answered_crypto(offered: MediaDescription, media: MediaDescription, where: str) -> tuple[Crypto, Crypto] | None:
    """Our key and theirs. The answer repeats tag and suite of the offered line that it takes (RFC 4568 §5.1.2)."""
    ours = {(crypto.tag, crypto.suite): crypto for crypto in read_cryptos(offered.get_all("crypto"))[0]}
    usable, _ = read_cryptos(media.get_all("crypto"))
    for theirs in usable:
        if (theirs.tag, theirs.suite) in ours:
            return ours[theirs.tag, theirs.suite], theirs
    if offered.protocol.upper() in SECURE or media.protocol.upper() in SECURE:
        raise NoCommonCodec(f"the answer has no usable a=crypto key for {where}", 302)
    return None
