"""A call that comes in over SIP: ring back, early media, answer, refuse.

An offer with no codec in common is known before anything rings, so it is refused at once, with the media line named.
"""

from __future__ import annotations

from collections.abc import Sequence

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.party import Party
from sent.calls.ports import Answered, LegDetails, MediaRenegotiated
from sent.gateway.endings import Side, answer_for, cancelled_by_caller
from sent.gateway.sip_leg import Line, SipLeg
from sent.media.port import MediaError
from sent.media.session import MediaSession, codecs_of
from sent.sdp.capabilities import Encryption
from sent.sdp.errors import SdpError
from sent.sip.events import Cancelled, Confirmed, InviteReceived, SessionEvent
from sent.sip.session_state import SessionState


class IncomingSipLeg(SipLeg):
    def __init__(self, line: Line, invite: InviteReceived, party: Party, side: Side, encryption: Encryption) -> None:
        super().__init__(line, party, side, "caller")
        session, flow = invite.session, invite.flow
        self._session = session
        session.context = self
        bind, advertised = line.media_addresses(flow.remote[0])
        self._media = MediaSession(line.engine, bind, advertised, (flow.remote[0],), encryption)
        self._offer = invite.offer
        self._knows_prack = "100rel" in invite.request.supported | invite.request.require
        self._our_sdp: bytes | None = None
        self._offered_codecs: tuple[str, ...] = ()
        self._details = LegDetails(
            signalling_id=session.call_id,
            transport=flow.transport,
            remote_address=f"{flow.remote[0]}:{flow.remote[1]}",
            user_agent=(invite.request.headers.get("user-agent") or "")[:200],
        )
        self._check_offer()

    @property
    def codecs(self) -> Sequence[str]:
        return super().codecs or self._offered_codecs

    def alert(self, *, early_media: bool = False) -> None:
        assert self._session is not None
        if self.over or self._answered:
            return
        now = self._line.clock()
        # To a caller without an offer we make one, which only a reliable response may carry (RFC 3261 §13.2.1). A
        # caller that knows none gets its audio with the answer.
        if early_media and (self._offer is not None or self._knows_prack):
            if not self._negotiate(()):
                return
            self._session.progress(183, now, self._our_sdp, reliable=True)
        else:
            self._session.progress(180, now)
        self._line.port.touch()

    def answer(self, codecs: Sequence[str] = ()) -> None:
        assert self._session is not None
        if self.over or self._answered or not self._negotiate(codecs):
            return
        assert self._our_sdp is not None
        self._answered = True
        self._session.answer(self._line.clock(), self._our_sdp)
        self._line.port.touch()

    def end(self, ending: Ending) -> None:
        assert self._session is not None
        if self.over or self._ending is not None:
            return
        self._ending = ending
        if self._answered:
            self._bye(ending)
            return
        refusal = answer_for(ending, self._line.host)
        self._session.reject(refusal.status, self._line.clock(), reason=refusal.phrase, headers=refusal.headers)
        self._line.port.touch()

    def _handle_setup(self, event: SessionEvent) -> None:
        match event:
            case Confirmed(sdp=sdp):
                self._confirmed(sdp)
            case Cancelled(reason=reason):
                self._finish(cancelled_by_caller(self._side, str(reason) if reason is not None else None))
            case _:
                pass  # the other events are those of outgoing calls

    def _check_offer(self) -> None:
        if self._offer is None:
            return
        try:
            self._offered_codecs = codecs_of(self._offer)
            assert self._media is not None
            if not self._offered_codecs or self._media.encryption is Encryption.REQUIRED:
                # The full negotiation says which line fails, and why.
                self._media.answer(self._offer, ())
        except (SdpError, MediaError) as error:
            self.end(self._media_failure(error))

    def _negotiate(self, codecs: Sequence[str]) -> bool:
        """Have an SDP to answer with (or to offer), once. False: it cannot be, and the caller was refused."""
        if self._our_sdp is not None:
            return True
        assert self._media is not None
        try:
            if self._offer is None:
                self._our_sdp = self._media.offer(codecs)
            else:
                self._our_sdp = self._media.answer(self._offer, codecs or self._offered_codecs)
        except (SdpError, MediaError) as error:
            self.end(self._media_failure(error))
            return False
        self._watch_digits()
        self._note_codec()
        return True

    def _confirmed(self, sdp: bytes | None) -> None:
        """The ACK; with a late offer it, or the PRACK before it, brings the caller's answer."""
        assert self._media is not None
        assert self._session is not None
        if sdp is not None and self._offer is None:
            try:
                self._media.accept(sdp)
            except (SdpError, MediaError) as error:
                self.end(self._media_failure(error))
                return
            self._note_codec()
            if self._session.state in {SessionState.EARLY, SessionState.ANSWERED}:
                self._emit(MediaRenegotiated(self._leg_id))  # a PRACK: its audio is open, nothing is answered yet
                return
        elif self._media.agreed is None:
            words = f"{self._side.name} asked for an offer and never answered it."
            self.end(Ending(EndCode.FAILED, words, "system", Blame.CALLER, 488))
            return
        self._emit(Answered(self._leg_id))
