"""One re-INVITE or UPDATE of ours, from sending it to its last answer: RFC 3261 §14.1, RFC 3311 §5.1, RFC 4028 §7."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.acknowledge import Acknowledgement
from sent.sip.bodies import sdp_of
from sent.sip.client_request import ClientRequest
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import OfferAnswered, Offered, OfferRefused
from sent.sip.header_extras import parse_min_se, parse_retry_after
from sent.sip.message import Response
from sent.sip.offer_incoming import Headers, IncomingOffer
from sent.sip.session_state import SessionState
from sent.sip.session_timer import agree_as_client, request_headers
from sent.sip.timers import Timer
from sent.sip.transaction.client import FailureCause

if TYPE_CHECKING:
    from sent.sip.session import Session
    from sent.sip.session_offers import Offers


class OutgoingOffer:
    """``sdp`` None: an UPDATE that only refreshes, or a re-INVITE that asks for an offer."""

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
        self._answer_pending = False

    def start(self, now: float) -> None:
        session = self.session
        dialog = session.dialog
        assert dialog is not None
        request = dialog.request(self.method)
        request.headers.add("Contact", session.contact_for(dialog.peer))
        request.headers.add("Allow", session.agent.allow_inside)
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
        if self._answer_pending:  # the 2xx needs its ACK before our BYE is understood
            self.acknowledge(None, now)
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
            if self._ack is not None:
                self._ack.again(now)
            elif not self._done and self.sdp is None and not session.ended and sdp_of(response) is not None:
                self._receive_late_offer(response, now)
                return
            elif not self._answer_pending:
                assert session.dialog is not None
                session.dialog.refresh_target(response)
                self.acknowledge(None, now)
        if self._done:
            return
        self._done = True
        if response.status < 300:
            self._succeeded(response, now)
        else:
            self._refused(response, now)

    def _receive_late_offer(self, response: Response, now: float) -> None:
        """The 2xx to a re-INVITE without SDP: the answer goes into the ACK."""
        session = self.session
        assert session.dialog is not None
        session.dialog.refresh_target(response)
        session.timer.restart(agree_as_client(response, session.session_expires), now)
        self._done = self._answer_pending = True
        sdp = sdp_of(response)
        session.remote_sdp = sdp
        session.expect_answer(_LateOffer(self), now)
        session.emit(Offered(session, sdp, "INVITE"))

    def acknowledge(self, sdp: bytes | None, now: float) -> None:
        session = self.session
        assert session.dialog is not None
        assert self.client is not None
        assert self.client.current is not None
        self._answer_pending = False
        self._ack = Acknowledgement(session.agent, session.dialog, self.client.current.request, sdp, now)

    def answered(self, sdp: bytes | None, now: float) -> None:
        """The application's answer to a late offer."""
        if sdp is not None:
            self.session.local_sdp = sdp
        self.acknowledge(sdp, now)
        self._offers.finished(self, now)

    def on_request_failed(self, cause: FailureCause, now: float) -> None:
        """§12.2.1.2: no answer at all ends the dialog. A broken connection need not: another may come (RFC 5626)."""
        self.session.agent.timers.cancel(self._limit)
        if self._done:
            return
        self._done = True
        if cause == "timeout":
            self.session.hang_up("silent", now)
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
            session.hang_up("dialog_gone" if status == 481 else "silent", now)
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


class _LateOffer(IncomingOffer):
    def __init__(self, outgoing: OutgoingOffer) -> None:
        self._outgoing = outgoing

    def answer(self, sdp: bytes, headers: Headers, now: float) -> None:  # an ACK takes no headers of the application
        self._outgoing.answered(sdp, now)

    def refuse(self, status: int, headers: Headers, now: float) -> None:
        """An offer in a 2xx cannot be refused: acknowledged, and the call ends (§13.2.2.4)."""
        self._outgoing.session.hang_up("bye", now)
