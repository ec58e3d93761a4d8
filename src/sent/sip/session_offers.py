"""Offers after the first exchange: re-INVITE (RFC 3261 §14) and UPDATE (RFC 3311), both ways; refreshes too.

At most one exchange runs at a time (RFC 6337 §2.3):

    ours under way,  theirs comes   → 491, and we go on                       (§14.2)
    theirs pending,  another comes  → 500 with Retry-After                    (§14.2)
    ours gets 491                   → again after 2.1-4 s if we made the Call-ID, else 0-2 s  (§14.1)
    theirs pending,  we want one    → queued
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.acknowledge import Acknowledgement, SuccessRepeater
from sent.sip.bodies import sdp_of
from sent.sip.client_request import ClientRequest
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import OfferAnswered, Offered, OfferRefused, OfferWithdrawn
from sent.sip.header_extras import parse_min_se, parse_retry_after
from sent.sip.message import Request, Response
from sent.sip.session_state import SessionState
from sent.sip.session_timer import IntervalTooSmall, agree_as_client, agree_as_server, request_headers
from sent.sip.timers import Timer
from sent.sip.transaction.client import FailureCause
from sent.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from sent.sip.session import Session

Headers = tuple[tuple[str, str], ...]


class IncomingOffer:
    """An offer of theirs that waits for the application."""

    def answer(self, sdp: bytes, headers: Headers, now: float) -> None:
        raise NotImplementedError

    def refuse(self, status: int, headers: Headers, now: float) -> None:
        raise NotImplementedError


class Offers:
    def __init__(self, session: Session) -> None:
        self._session = session
        self._outgoing: OutgoingOffer | None = None
        self._queued: tuple[bytes, str | None] | None = None
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
            if "UPDATE" not in session.dialog.peer_allow or session.remote_sdp is None:
                return  # nothing may be offered yet; after the answer it is a re-INVITE
            method = "UPDATE"
        elif session.state is not SessionState.CONFIRMED:
            return
        self._queued = None
        self._start(OutgoingOffer(session, self, method or "INVITE", sdp, refresh=False), now)

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
                    self._queued = (outgoing.sdp or b"", outgoing.method)
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
        self._session.incoming_offer = reinvite
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
            session.incoming_offer = update
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


class _Incoming(IncomingOffer):
    """What re-INVITE and UPDATE have in common: the target refresh and the session timer."""

    def __init__(self, session: Session, offers: Offers, tx: ServerTransaction) -> None:
        self.session = session
        self.tx = tx
        self.offers = offers

    def check(self, now: float) -> bool:
        session, agent = self.session, self.session.agent
        try:
            terms = agree_as_server(self.tx.request, session.session_expires, agent.config.min_session_expires)
        except IntervalTooSmall:
            agent.reply(self.tx, 422, now, headers=(("Min-SE", str(agent.config.min_session_expires)),))
            return False
        except RemoteProtocolError as error:
            agent.reply(self.tx, 400, now, reason=error.reason)
            return False
        self._agreement, self._timer_headers = terms
        return True

    def success(self, headers: Headers, now: float) -> Headers:
        """Header fields of the 2xx; what the request changed takes effect."""
        session = self.session
        assert session.dialog is not None
        session.dialog.refresh_target(self.tx.request)
        session.timer.restart(self._agreement, now)
        return (
            ("Contact", session.contact_for(self.tx.flow)),
            ("Allow", session.agent.allow),
            ("Supported", session.agent.supported),
            *self._timer_headers,
            *headers,
        )

    def refuse(self, status: int, headers: Headers, now: float) -> None:
        self.session.agent.reply(self.tx, status, now, headers=headers)
        self.offers.invite_done(now)


class IncomingUpdate(_Incoming):
    def answer(self, sdp: bytes | None, headers: Headers, now: float) -> None:
        remote = sdp_of(self.tx.request)
        if remote is not None:
            self.session.remote_sdp, self.session.local_sdp = remote, sdp
        self.session.agent.reply(self.tx, 200, now, headers=self.success(headers, now), sdp=sdp)
        self.offers.pump(now)

    def refuse(self, status: int, headers: Headers, now: float) -> None:
        self.session.agent.reply(self.tx, status, now, headers=headers)
        self.offers.pump(now)


class IncomingReinvite(_Incoming):
    _repeater: SuccessRepeater | None = None
    _late = False

    def answer(self, sdp: bytes, headers: Headers, now: float) -> None:
        session = self.session
        remote = sdp_of(self.tx.request)
        self._late = remote is None
        if remote is not None:
            session.remote_sdp = remote
        session.local_sdp = sdp
        response = self.tx.request.reply(200)
        for name, value in self.success(headers, now):
            response.headers.add(name, value)
        session.add_body(response, sdp)
        session.agent.add_server(response)
        self._repeater = SuccessRepeater(session.agent, self.tx, response, self._no_ack, now)

    def receive_ack(self, ack: Request, now: float) -> bool:
        if self._repeater is None or ack.cseq.number != self._repeater.cseq:
            return False
        self._repeater.stop()
        self._repeater = None
        session = self.session
        if self._late:
            sdp = sdp_of(ack)
            if sdp is None:
                session.emit(OfferRefused(session, 488))
            else:
                session.remote_sdp = sdp
                session.emit(OfferAnswered(session, sdp))
        return True

    def withdraw(self, now: float) -> bool:
        """CANCEL. False when it came after our final response."""
        if self.tx.final_sent:
            return False
        self.session.agent.reply(self.tx, 487, now)
        return True

    def session_ended(self, now: float) -> None:
        if self._repeater is not None:
            self._repeater.stop()
            self._repeater = None
        self.withdraw(now)

    def _no_ack(self, now: float) -> None:
        """§14.2: a re-INVITE whose 2xx is never acknowledged ends the call."""
        self._repeater = None
        if not self.session.ended:
            self.session.agent.counters["acks_missing"] += 1
            self.session.hang_up("ack_timeout", now)


class OutgoingOffer:
    """A re-INVITE or UPDATE of ours. ``sdp`` None: an UPDATE that only refreshes."""

    def __init__(self, session: Session, offers: Offers, method: str, sdp: bytes | None, *, refresh: bool) -> None:
        self.session = session
        self.method = method
        self.sdp = sdp
        self.refresh = refresh
        self.client: ClientRequest | None = None
        self._offers = offers
        self._ack: Acknowledgement | None = None
        self._limit: Timer | None = None
        self._done = False

    def start(self, now: float) -> None:
        session = self.session
        dialog = session.dialog
        assert dialog is not None
        request = dialog.request(self.method)
        request.headers.add("Contact", session.contact_for(dialog.peer))
        request.headers.add("Allow", session.agent.allow)
        request.headers.add("Supported", session.agent.supported)
        agreement = session.timer.agreement
        if session.session_expires and session.state is SessionState.CONFIRMED:
            seconds = agreement.seconds if agreement is not None else session.session_expires
            # §7.4: a refresh does not change who refreshes; "uac" is whoever sends this request.
            refresher = "uac" if self.refresh or agreement is None or agreement.we_refresh else "uas"
            for name, value in request_headers(seconds, session.min_session_expires, refresher):
                request.headers.add(name, value)
        session.add_body(request, self.sdp)
        # Nobody is asked here, so an answer that takes this long will not come (it would in the first INVITE).
        self._limit = session.agent.timers.arm(now + 2 * session.agent.config.give_up, self._too_long)
        session.send_request(request, self, now)

    def session_ended(self, now: float) -> None:
        self._done = True
        self.session.agent.timers.cancel(self._limit)
        if self.client is not None:
            self.client.give_up = True
            if self.method == "INVITE" and self.client.current is not None:
                self.session.agent.timers.arm(now + self.session.agent.config.give_up, self.client.current.abandon)

    def _too_long(self, now: float) -> None:
        if self._done:
            return
        if self.client is not None and self.client.current is not None and self.method == "INVITE":
            self.client.current.abandon(now)
        self.on_request_failed("timeout", now)

    # ---- RequestUser

    def on_provisional(self, response: Response, now: float) -> None:
        pass

    def on_final(self, response: Response, now: float) -> None:
        session = self.session
        self.session.agent.timers.cancel(self._limit)
        if response.status < 300 and self.method == "INVITE":
            if self._ack is None:
                assert session.dialog is not None
                assert self.client is not None
                assert self.client.current is not None
                session.dialog.refresh_target(response)
                self._ack = Acknowledgement(session.agent, session.dialog, self.client.current.request, None, now)
            else:
                self._ack.again(now)
        if self._done:
            return
        self._done = True
        if response.status < 300:
            self._succeeded(response, now)
        else:
            self._refused(response, now)

    def on_request_failed(self, cause: FailureCause, now: float) -> None:
        """§12.2.1.2: no answer at all ends the dialog. A broken connection need not: another may come (RFC 5626)."""
        self.session.agent.timers.cancel(self._limit)
        if self._done:
            return
        self._done = True
        if cause == "timeout":
            self.session.hang_up("dialog_gone", now)
        elif self.refresh:
            self._offers.again_after(10.0, self, now)
        else:
            self.session.emit(OfferRefused(self.session, 503))
            self._offers.finished(self, now)

    def _succeeded(self, response: Response, now: float) -> None:
        session = self.session
        assert session.dialog is not None
        if self.method == "UPDATE":
            session.dialog.refresh_target(response)
        if session.state is SessionState.CONFIRMED:
            session.timer.restart(agree_as_client(response, session.session_expires), now)
        sdp = sdp_of(response)
        if self.sdp is not None:
            if sdp is None:
                session.emit(OfferRefused(session, 488))
            else:
                changed = sdp != session.remote_sdp
                session.local_sdp, session.remote_sdp = self.sdp, sdp
                if changed or not self.refresh:
                    session.emit(OfferAnswered(session, sdp))
        self._offers.finished(self, now)

    def _refused(self, response: Response, now: float) -> None:
        session, status = self.session, response.status
        if status in {408, 481}:  # §12.2.1.2
            session.hang_up("dialog_gone", now)
        elif status == 491:
            own = 2.1 + session.agent.random() * 1.9 if session.outgoing else session.agent.random() * 2.0
            session.agent.counters["glares"] += 1
            self._offers.again_after(own, self, now)
        elif status == 422 and self._raise_min_se(response):
            self._offers.again_after(0.0, self, now)
        elif status == 500 and response.headers.has("Retry-After"):
            after = parse_retry_after(response.headers.get("Retry-After")) or 1
            self._offers.again_after(min(after, 10), self, now)
        elif self.method == "UPDATE" and status in {405, 501}:
            assert session.dialog is not None
            session.dialog.peer_allow -= {"UPDATE"}
            self.method = "INVITE"
            self._offers.again_after(0.0, self, now)
        elif self.refresh:
            # Still refused when the interval is over: the session timer ends the call.
            self._offers.again_after(10.0, self, now)
        else:
            session.emit(OfferRefused(session, status))
            self._offers.finished(self, now)

    def _raise_min_se(self, response: Response) -> bool:
        value = response.headers.get("Min-SE")
        try:
            minimum = parse_min_se(value) if value is not None else 0
        except RemoteProtocolError:
            return False
        session = self.session
        if minimum <= session.min_session_expires:
            return False
        session.min_session_expires = minimum
        session.session_expires = max(session.session_expires, minimum)
        return True
