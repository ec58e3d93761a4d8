"""One call of our phone.

          outgoing              incoming
          CALLING               RINGING
Progress    │  └─┐ Accepted        │ accept()
          RINGING └──► TALKING ◄───┘
Failed, Cancelled, Ended in any state ──► OVER
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from enum import Enum, auto

from sent.media.port import MediaEngine, MediaError
from sent.media.session import MediaSession
from sent.media.types import LegStatistics, MediaLegId
from sent.sdp.errors import SdpError
from sent.sip.events import (
    Accepted,
    Cancelled,
    Confirmed,
    Ended,
    Event,
    Failed,
    OfferAnswered,
    Offered,
    Progress,
)
from sent.sip.header_extras import Reason
from sent.sip.session import Session
from sent.transport.port import SipPort


class PhoneState(Enum):
    CALLING = auto()
    RINGING = auto()
    TALKING = auto()
    OVER = auto()


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """``status`` is the SIP status of a call that was never answered, None after one that was."""

    words: str
    status: int | None = None
    reason: str | None = None
    statistics: LegStatistics = field(default_factory=LegStatistics)

    @property
    def answered(self) -> bool:
        return self.status is None


class PhoneCall:
    """Made by `Phone`. ``media`` is the leg to bridge; it exists from `Phone.call` or `accept` on."""

    def __init__(
        self, port: SipPort, engine: MediaEngine, session: Session, media: MediaSession, offer: bytes | None = None
    ) -> None:
        self._port = port
        self._engine = engine
        self._session = session
        self._media = media
        self._offer = offer
        self._refused = 480
        self._statistics = LegStatistics()
        self.state = PhoneState.CALLING if session.outgoing else PhoneState.RINGING
        self.outcome: CallOutcome | None = None
        self._changed = asyncio.Event()

    @property
    def media(self) -> MediaLegId:
        if self._media.leg is None:
            raise MediaError("softphone.no_media", "This call has no audio yet; accept it first.")
        return self._media.leg

    @property
    def codec(self) -> str | None:
        return self._media.codec

    @property
    def statistics(self) -> LegStatistics:
        return self._statistics if self.outcome is not None else self._engine.statistics(self.media)

    async def changed(self, seen: PhoneState, seconds: float) -> PhoneState:
        """The state as soon as it is another than ``seen``; ``seen`` when ``seconds`` pass without a change."""
        try:
            async with asyncio.timeout(seconds):
                while self.state is seen:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            return seen
        return self.state

    def accept(self) -> None:
        """Answer an incoming call. One that cannot be answered is refused with 488."""
        try:
            sdp = self._media.offer(()) if self._offer is None else self._media.answer(self._offer, ())
        except (SdpError, MediaError):
            self.refuse(488)
            return
        if self._session.answer(self._port.now(), sdp):
            self._move(PhoneState.TALKING)
        self._port.touch()

    def refuse(self, status: int, *, headers: tuple[tuple[str, str], ...] = ()) -> None:
        self._refused = status
        self._session.reject(status, self._port.now(), headers=headers)
        self._port.touch()

    def ring(self) -> None:
        """Tell the caller that it rings (180)."""
        self._session.progress(180, self._port.now())
        self._port.touch()

    def hang_up(self) -> None:
        """End the call in whatever state it is. Idempotent."""
        if self.state is not PhoneState.OVER:
            self._session.end(self._port.now(), status=480)
            self._port.touch()

    def on_event(self, event: Event) -> None:
        """Called by `Phone` for each event of this call's session."""
        match event:
            case Progress(status=status, sdp=sdp):
                if sdp is not None:
                    self._take_answer(sdp)
                if status >= 180 and self.state is PhoneState.CALLING:
                    self._move(PhoneState.RINGING)
            case Accepted(sdp=sdp):
                if sdp is None or self._take_answer(sdp):
                    self._move(PhoneState.TALKING)
                else:
                    self.hang_up()
            case Confirmed(sdp=sdp) if sdp is not None:
                if not self._take_answer(sdp):
                    self.hang_up()
            case Offered(sdp=sdp):
                self._answer_offer(sdp)
            case OfferAnswered(sdp=sdp):
                self._take_answer(sdp)
            case Failed(status=status, response=response):
                reason = response.headers.get("reason") if response is not None else None
                words = {"timeout": "nobody answered SIP", "transport": "the server could not be reached"}
                self._over(words.get(event.cause, f"{status} {event.reason}"), status, reason)
            case Cancelled(reason=why):
                self._over("the caller gave up", 487, str(why) if why is not None else None)
            case Ended():
                self._ended(event)
            case _:
                pass

    def _ended(self, event: Ended) -> None:
        words = {
            "bye": "the other side hung up" if event.by_remote else "hung up",
            "timer": "the session timer ran out: the other side is gone",
            "ack_timeout": "the other side never confirmed the answer",
            "dialog_gone": "the other side no longer knew the call",
            "silent": "the other side did not answer any more",
            "rejected": "refused",
            "unanswered": "not answered in time",
        }[event.cause]
        status = self._refused if event.cause in ("rejected", "unanswered") else None
        self._over(words, status, _reason(event.reason))

    def _take_answer(self, sdp: bytes) -> bool:
        try:
            self._media.accept(sdp)
        except (SdpError, MediaError):
            return False
        return True

    def _answer_offer(self, sdp: bytes | None) -> None:
        try:
            answer = self._media.offer(()) if sdp is None else self._media.answer(sdp, ())
        except (SdpError, MediaError):
            self._session.refuse_offer(488, self._port.now())
        else:
            self._session.answer_offer(answer, self._port.now())
        self._port.touch()

    def _over(self, words: str, status: int | None, reason: str | None) -> None:
        if self._media.leg is not None:
            self._statistics = self._engine.close(self._media.leg)
        self.outcome = CallOutcome(words, status, reason, self._statistics)
        self._move(PhoneState.OVER)

    def _move(self, state: PhoneState) -> None:
        self.state = state
        self._changed.set()


def _reason(reason: Reason | None) -> str | None:
    return str(reason) if reason is not None else None
