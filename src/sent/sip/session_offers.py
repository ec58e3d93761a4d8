"""Offers after the first exchange: re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311), both ways; refreshes too.

At most one exchange runs at a time (RFC 6337 §2.3):

    ours under way,  theirs comes   → 491, and we go on                       (§14.2)
    theirs pending,  another comes  → 500 with Retry-After                    (§14.2)
    ours gets 491                   → again after 2.1-4 s if we made the Call-ID, else 0-2 s  (§14.1)
    theirs pending,  we want one    → queued
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.bodies import sdp_of
from sent.sip.events import Offered, OfferWithdrawn
from sent.sip.message import Request
from sent.sip.offer_incoming import Headers, IncomingReinvite, IncomingUpdate
from sent.sip.offer_outgoing import OutgoingOffer
from sent.sip.session_state import SessionState
from sent.sip.timers import Timer
from sent.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from sent.sip.session import Session


class Offers:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._outgoing: OutgoingOffer | None = None
        self._queued: tuple[bytes | None, str | None] | None = None
        """What to offer next, and how; no description: a re-INVITE that asks for theirs."""
        self._retry: Timer | None = None
        self._invite: IncomingReinvite | None = None

    # ---- ours

    def offer(self, sdp: bytes, now: float, method: str | None) -> bool:
        self._queued = (sdp, method)
        self.pump(now)
        return True

    def pump(self, now: float) -> None:
        """Send what waits, if nothing hinders any more."""
        session = self._session
        if self._queued is None or self._busy or session.dialog is None:
            return
        sdp, method = self._queued
        if session.state is SessionState.EARLY:
            if "UPDATE" not in session.dialog.peer_allow or not session.early_exchange_done or sdp is None:
                return  # nothing may be offered yet; after the answer it is a re-INVITE
            method = "UPDATE"
        elif session.state is not SessionState.CONFIRMED:
            return
        self._queued = None
        self._start(OutgoingOffer(session, self, method or "INVITE", sdp, refresh=False), now)

    def ask(self, now: float) -> bool:
        """Queued like an offer, and in the place of one."""
        self._queued = (None, "INVITE")
        self.pump(now)
        return True

    @property
    def _busy(self) -> bool:
        return (
            self._outgoing is not None
            or self._invite is not None
            or self._session.incoming_offer is not None
            or self._retry is not None
        )

    def refresh(self, now: float) -> None:
        """For the session timer: UPDATE where the peer knows it, else a re-INVITE with the description in force."""
        session = self._session
        if session.ended or session.dialog is None:
            return
        if self._busy:
            session.timer.refresh_again(now + 5.0)
            return
        by_update = "UPDATE" in session.dialog.peer_allow or session.local_sdp is None
        sdp = None if by_update else session.local_sdp
        self._start(OutgoingOffer(session, self, "UPDATE" if by_update else "INVITE", sdp, refresh=True), now)

    def _start(self, outgoing: OutgoingOffer, now: float) -> None:
        self._outgoing = outgoing
        outgoing.start(now)

    def finished(self, outgoing: OutgoingOffer, now: float) -> None:
        if self._outgoing is outgoing:
            self._outgoing = None
            self.pump(now)

    def again_after(self, delay: float, outgoing: OutgoingOffer, now: float) -> None:
        """The back-off of §14.1, and repetitions with another method or interval."""
        self._outgoing = None

        def retry(later: float) -> None:
            self._retry = None
            if self._session.ended:
                return
            if outgoing.refresh:
                self.refresh(later)
            else:
                if self._queued is None:
                    self._queued = (outgoing.sdp, outgoing.method)
                self.pump(later)

        self._retry = self._session.agent.timers.arm(now + delay, retry)

    def stop(self, now: float) -> None:
        """The session has ended."""
        self._queued = None
        self._session.agent.timers.cancel(self._retry)
        self._retry = None
        if self._invite is not None:
            self._invite.session_ended(now)
            self._invite = None
        if self._outgoing is not None:
            self._outgoing.session_ended(now)
            self._outgoing = None

    # ---- theirs

    def _hindrance(self) -> tuple[int, Headers] | None:
        session = self._session
        if session.ended:
            return 481, ()
        if self._outgoing is not None or session.state is not SessionState.CONFIRMED:
            return 491, ()
        if self._invite is not None or session.incoming_offer is not None:
            return 500, (("Retry-After", str(1 + int(session.agent.random() * 10))),)
        return None

    def receive_invite(self, tx: ServerTransaction, now: float) -> None:
        hindrance = self._hindrance()
        if hindrance is not None:
            self._session.agent.reply(tx, hindrance[0], now, headers=hindrance[1])
            return
        reinvite = IncomingReinvite(self._session, self, tx)
        if not reinvite.check(now):
            return
        self._invite = reinvite
        tx.on_cancel = lambda _, later: self.receive_cancel(tx, later)
        self._session.expect_answer(reinvite, now)
        self._session.emit(Offered(self._session, sdp_of(tx.request), "INVITE"))

    def receive_update(self, tx: ServerTransaction, now: float) -> None:
        session = self._session
        sdp = sdp_of(tx.request)
        update = IncomingUpdate(session, self, tx)
        if session.ended:
            session.agent.reply(tx, 481, now)
            return
        if sdp is None:  # a refresh, which takes part in no offer/answer exchange
            if update.check(now):
                update.answer(None, (), now)
            return
        early = session.state is SessionState.EARLY and self._outgoing is None and session.incoming_offer is None
        hindrance = None if early else self._hindrance()
        if hindrance is not None:
            session.agent.reply(tx, hindrance[0], now, headers=hindrance[1])
            return
        if update.check(now):
            session.expect_answer(update, now)
            session.emit(Offered(session, sdp, "UPDATE"))

    def receive_cancel(self, tx: ServerTransaction, now: float) -> None:
        if self._invite is not None and self._invite.tx is tx and self._invite.withdraw(now):
            self._invite = None
            self._session.incoming_offer = None
            self._session.emit(OfferWithdrawn(self._session))
            self.pump(now)

    def receive_ack(self, ack: Request, now: float) -> None:
        if self._invite is not None and self._invite.receive_ack(ack, now):
            self.invite_done(now)

    def invite_done(self, now: float) -> None:
        self._invite = None
        self.pump(now)
