"""What incoming and outgoing SIP legs have in common: reports, mid-call offers, digits, and the end.

A leg is a `calls.ports.LegPort` over one `sip.session.Session` and one `MediaSession`. Its life before the answer is in
`sip_leg_incoming` and `sip_leg_outgoing`. The session decides when the leg has ended; media is released right after
`LegEnded` was reported, whatever the reason.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

import structlog

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.media_events import MediaEvents
from sent.calls.party import Party
from sent.calls.ports import (
    DigitPressed,
    HoldChanged,
    LegDetails,
    LegEnded,
    LegEvent,
    MediaRenegotiated,
)
from sent.gateway.dtmf import DTMF_RELAY, DigitFilter, digit_in, relay_body
from sent.gateway.endings import Side, from_end, reason_header
from sent.kit.ids import uuid7
from sent.media.port import MediaEngine, MediaError
from sent.media.session import MediaSession
from sent.media.types import Digit, MediaEvent, MediaLegId
from sent.sdp.errors import NoCommonCodec, SdpError
from sent.sip.events import (
    Ended,
    InfoReceived,
    OfferAnswered,
    Offered,
    OfferRefused,
    OfferWithdrawn,
    SessionEvent,
)
from sent.sip.header_extras import parse_reason
from sent.sip.session import Session
from sent.transport.port import SipPort

log = structlog.get_logger("sent.gateway")


@dataclass(frozen=True, slots=True)
class Line:
    """What every leg works with. ``port`` must be touched after each command to the agent or a session.

    ``media_addresses`` gives, for a peer's address, the local address to bind RTP to and the one to advertise.
    ``host`` is the name that we go by in From and Warning.
    """

    port: SipPort
    engine: MediaEngine
    media_events: MediaEvents
    media_addresses: Callable[[str], tuple[str, str]]
    host: str
    hops: dict[UUID, int] = field(default_factory=dict)
    """Of each call that came in by SIP, until its caller has left: what is left of Max-Forwards."""

    def clock(self) -> float:
        return self.port.now()


class SipLeg:
    def __init__(self, line: Line, party: Party, side: Side, role: str) -> None:
        """``role`` is this party's in the call: ``caller`` or ``callee``."""
        self._line = line
        self._party = party
        self._side = side
        self._role = role
        self._leg_id = uuid7()
        self._session: Session | None = None
        self._media: MediaSession | None = None
        self._sink: Callable[[LegEvent], None] | None = None
        self._early_events: list[LegEvent] = []
        self._ending: Ending | None = None
        """Why we end it ourselves, once decided."""
        self._ended: LegEnded | None = None
        self._answered = False
        self._held = False
        self._digits = DigitFilter()
        self._unsubscribe: Callable[[], None] | None = None
        self._on_over: list[Callable[[LegEnded], None]] = []
        self._details = LegDetails()

    # -- LegPort --------------------------------------------------------------------------------------------------

    @property
    def leg_id(self) -> UUID:
        return self._leg_id

    @property
    def party(self) -> Party:
        return self._party

    @property
    def media(self) -> MediaLegId | None:
        return self._media.leg if self._media is not None else None

    @property
    def codecs(self) -> Sequence[str]:
        if self._media is None or self._media.agreed is None:
            return ()
        return tuple(fmt.name for fmt in self._media.agreed.send)

    @property
    def details(self) -> LegDetails:
        return self._details

    def listen(self, sink: Callable[[LegEvent], None]) -> None:
        self._sink = sink
        if self._early_events:
            asyncio.get_running_loop().call_soon(self._deliver_early)

    def ring(self, caller: Party, codecs: Sequence[str]) -> None:
        raise NotImplementedError("only outgoing legs ring")

    def alert(self, *, early_media: bool = False) -> None:
        raise NotImplementedError("only incoming legs are alerted")

    def answer(self, codecs: Sequence[str] = ()) -> None:
        raise NotImplementedError("only incoming legs are answered")

    def end(self, ending: Ending) -> None:
        raise NotImplementedError

    def send_digits(self, digits: str) -> None:
        if self.over or self._session is None or self._media is None:
            return
        agreed = self._media.agreed
        if agreed is not None and agreed.dtmf_send is not None and self._media.leg is not None:
            self._line.engine.send_digits(self._media.leg, digits)
            return
        for digit in digits:
            self._session.info(DTMF_RELAY, relay_body(digit), self._line.clock())
        self._line.port.touch()

    # -- for the server -------------------------------------------------------------------------------------------

    def when_over(self, action: Callable[[LegEnded], None]) -> None:
        """Call ``action`` once when the leg has ended (limits, counters); at once when it has already."""
        if self._ended is not None:
            action(self._ended)
        else:
            self._on_over.append(action)

    @property
    def over(self) -> bool:
        return self._ended is not None

    def handle(self, event: SessionEvent) -> None:
        """An event of this leg's session."""
        match event:
            case Offered(sdp=sdp):
                self._offered(sdp)
            case OfferAnswered(sdp=sdp):
                self._offer_answered(sdp)
            case InfoReceived(content_type=content_type, body=body):
                found = digit_in(content_type, body)
                if found is not None:
                    self._digit(*found, by_signalling=True)
            case Ended(cause=cause, reason=reason, by_remote=by_remote):
                words = str(reason) if reason is not None else None
                ended = from_end(cause, self._side, self._role, reason=words, by_remote=by_remote)
                self._finish(self._ending or ended)
            case OfferRefused() | OfferWithdrawn():
                pass  # the session stays as it was, and so does the media
            case _:
                self._handle_setup(event)

    def _handle_setup(self, event: SessionEvent) -> None:
        raise NotImplementedError

    # -- reports --------------------------------------------------------------------------------------------------

    def _emit(self, event: LegEvent) -> None:
        if self._sink is None or self._early_events:
            self._early_events.append(event)
        else:
            self._sink(event)

    def _deliver_early(self) -> None:
        events, self._early_events = self._early_events, []
        for event in events:
            self._emit(event)

    def _finish(self, ending: Ending) -> None:
        """The leg is over: report, then release everything. Safe to call twice."""
        if self._ended is not None:
            return
        ended = self._ended = LegEnded(self._leg_id, ending)
        self._emit(ended)
        if self._unsubscribe is not None:
            self._unsubscribe()
        if self._media is not None:
            self._media.close()
        for action in self._on_over:
            action(ended)

    # -- media ----------------------------------------------------------------------------------------------------

    def _watch_digits(self) -> None:
        if self._unsubscribe is None and self._media is not None and self._media.leg is not None:
            self._unsubscribe = self._line.media_events.subscribe(self._media.leg, self._media_event)

    def _media_event(self, event: MediaEvent) -> None:
        if isinstance(event, Digit):
            self._digit(event.digit, event.duration_ms, by_signalling=False)

    def _digit(self, digit: str, duration_ms: int, *, by_signalling: bool) -> None:
        way = "info" if by_signalling else "rtp"
        if not self.over and self._digits.is_new(digit, way, self._line.clock()):
            self._emit(DigitPressed(self._leg_id, digit, duration_ms, by_signalling=by_signalling))

    def _offered(self, sdp: bytes | None) -> None:
        """A re-INVITE or UPDATE. Refused ones leave the call as it was (RFC 3261 §14.2)."""
        assert self._session is not None
        media = self._media
        now = self._line.clock()
        if media is None:
            self._session.refuse_offer(488, now)
            return
        current = (media.codec,) if media.codec else ()
        before = media.agreed
        try:
            description = media.offer(current) if sdp is None else media.answer(sdp, current)
        except (SdpError, MediaError) as error:
            status, headers = self._refusal(error)
            self._session.refuse_offer(status, now, headers=headers)
        else:
            self._session.answer_offer(description, now)
            self._renegotiated(before)
        self._line.port.touch()

    def _offer_answered(self, sdp: bytes) -> None:
        assert self._media is not None
        before = self._media.agreed
        try:
            self._media.accept(sdp)
        except (SdpError, MediaError) as error:
            self.end(self._media_failure(error))
        else:
            self._renegotiated(before)

    def _renegotiated(self, before: object) -> None:
        """Report what a later exchange changed."""
        assert self._media is not None
        if self._media.agreed is not before and before is not None:
            self._emit(MediaRenegotiated(self._leg_id))
        if self._media.held is not self._held:
            self._held = self._media.held
            self._emit(HoldChanged(self._leg_id, self._held))
        self._note_codec()

    def _note_codec(self) -> None:
        agreed = self._media.agreed if self._media is not None else None
        if agreed is not None:
            extra = {**self._details.extra, "srtp": "sdes" if agreed.local_crypto is not None else "none"}
            self._note(codec=agreed.codec.name, extra=extra)

    def _note(self, **changes: object) -> None:
        values = {name: getattr(self._details, name) for name in LegDetails.__slots__}
        self._details = LegDetails(**{**values, **changes})

    def _refusal(self, error: SdpError | MediaError) -> tuple[int, tuple[tuple[str, str], ...]]:
        if isinstance(error, SdpError):
            code = error.warning if isinstance(error, NoCommonCodec) else 399
            text = error.reason.replace("\\", "").replace('"', "'")
            return error.status, (("Warning", f'{code} {self._line.host} "{text}"'),)
        return 500, ()

    def _media_failure(self, error: SdpError | MediaError) -> Ending:
        if isinstance(error, NoCommonCodec):
            blame = Blame.CALLER if self._role == "caller" else Blame.CARRIER if self._side.is_carrier else Blame.CALLEE
            words = f"No common codec with {self._side.name}: {error.reason}"
            _, headers = self._refusal(error)
            return Ending(EndCode.NO_COMMON_CODEC, words, "system", blame, 488, None, headers[0][1])
        if isinstance(error, SdpError):
            blame = Blame.CALLER if self._role == "caller" else Blame.CARRIER if self._side.is_carrier else Blame.CALLEE
            return Ending(EndCode.FAILED, error.reason, "system", blame, error.status)
        log.warning("gateway.media_failed", code=error.code, leg=str(self._leg_id))
        return Ending(EndCode.FAILED, f"No audio could be opened: {error.message}", "system", Blame.US, 500)

    def _bye(self, ending: Ending) -> None:
        assert self._session is not None
        self._session.bye(self._line.clock(), reason=parse_reason(reason_header(ending)))
        self._line.port.touch()
