"""The media side of one SIP leg: its RTP port, what was offered and agreed, and the engine kept in step with that."""

from __future__ import annotations

import secrets
from collections.abc import Sequence

from sent.media import negotiation
from sent.media.port import MediaEngine
from sent.media.types import MediaLegId, RtpPorts
from sent.sdp import answer as sdp_answer
from sent.sdp.capabilities import Capabilities, Encryption, Negotiated
from sent.sdp.description import SessionDescription
from sent.sdp.formats import formats_of, is_speech
from sent.sdp.offer import audio_index, make_offer
from sent.sdp.parser import parse_session


class MediaSession:
    """Opens its port with the first offer or answer; `close` releases it. Raises `SdpError` and `MediaError`.

    ``bind`` is the local address for RTP, ``advertised`` the one that the peer is told. ``latch_from`` are the
    addresses besides the SDP's that media may come from: where the peer's signalling comes from.
    """

    def __init__(
        self, engine: MediaEngine, bind: str, advertised: str, latch_from: tuple[str, ...], encryption: Encryption
    ) -> None:
        self._engine = engine
        self._bind = bind
        self._advertised = advertised
        self._latch_from = latch_from
        self.encryption = encryption
        self._cryptos = negotiation.fresh_cryptos(secrets.token_bytes)
        self._session_id = secrets.randbits(62)
        self._ports: RtpPorts | None = None
        self._ours: SessionDescription | None = None
        self.leg: MediaLegId | None = None
        self.agreed: Negotiated | None = None

    @property
    def codec(self) -> str | None:
        return self.agreed.codec.name if self.agreed is not None else None

    @property
    def held(self) -> bool:
        """The peer does not want to hear us."""
        return self.agreed is not None and self.agreed.held

    def offer(self, preferred: Sequence[str]) -> bytes:
        """Our offer; the same again as long as nothing changes (for a session refresh)."""
        local = self._capabilities(preferred, self.encryption)
        self._ours = make_offer(local, session_id=self._session_id, previous=self._ours)
        return self._ours.to_bytes()

    def forget_offer(self) -> None:
        """The offer was refused as a whole before anything was agreed; the next one starts anew."""
        self._ours = None

    def answer(self, offer: bytes, preferred: Sequence[str]) -> bytes:
        """Agree to the peer's offer. Raises `SdpError`, and then nothing has changed."""
        theirs = parse_session(offer)
        # Keys that the peer offers are taken on any transport; without TLS they keep honest listeners out, no more.
        encryption = Encryption.OPTIONAL if self.encryption is Encryption.NEVER else self.encryption
        local = self._capabilities(preferred, encryption)
        answer = sdp_answer.answer(theirs, local, session_id=self._session_id, prefer=preferred, previous=self._ours)
        self._ours = answer.description
        self._apply(answer.negotiated)
        return answer.description.to_bytes()

    def accept(self, answer: bytes) -> None:
        """Take the peer's answer to our last offer. Raises `SdpError`."""
        assert self._ours is not None
        self._apply(sdp_answer.read_answer(self._ours, parse_session(answer)))

    def close(self) -> None:
        if self.leg is not None:
            self._engine.close(self.leg)

    def _capabilities(self, preferred: Sequence[str], encryption: Encryption) -> Capabilities:
        if self._ports is None:
            self.leg, self._ports = self._engine.open_rtp(self._bind)
        return negotiation.capabilities(self._advertised, self._ports, preferred, encryption, self._cryptos)

    def _apply(self, agreed: Negotiated) -> None:
        assert self.leg is not None
        if agreed == self.agreed:
            return
        self._engine.configure(self.leg, negotiation.settings(agreed, self._latch_from))
        self.agreed = agreed


def codecs_of(sdp: bytes) -> tuple[str, ...]:
    """The codecs of a description that we can do, in its order. Raises `MalformedSdp`."""
    theirs = parse_session(sdp)
    index = audio_index(theirs)
    if index is None:
        return ()
    known = {fmt.key: fmt.name for fmt in negotiation.FORMATS}
    found = [known[fmt.key] for fmt in formats_of(theirs.media[index]) if is_speech(fmt) and fmt.key in known]
    return tuple(dict.fromkeys(found))
