"""The first INVITE of an incoming session: provisional responses (reliable ones too), the answer, refusal, CANCEL.

RFC 3261 §13.3 and §9.2, RFC 3262 §3, RFC 4028 §9.
"""

from __future__ import annotations

from collections.abc import Callable

from sent.sip.acknowledge import SuccessRepeater
from sent.sip.bodies import sdp_of
from sent.sip.errors import LocalProtocolError, RemoteProtocolError
from sent.sip.events import Cancelled, Confirmed, EndCause, Ended, Offered
from sent.sip.grammar import MAX_UINT31
from sent.sip.header_values import parse_rack
from sent.sip.message import Request, Response
from sent.sip.offer_incoming import IncomingOffer
from sent.sip.reliable import ReliableSender
from sent.sip.session import Session, reason_of
from sent.sip.session_state import BEFORE_ANSWER, SessionInput, SessionState
from sent.sip.session_timer import Agreement
from sent.sip.timers import Timer
from sent.sip.transaction.server import ServerTransaction

Headers = tuple[tuple[str, str], ...]


class IncomingInvite:
    def __init__(
        self,
        session: Session,
        tx: ServerTransaction,
        timer_terms: tuple[Agreement | None, list[tuple[str, str]]],
        offer: bytes | None,
        now: float,
    ) -> None:
        self.session = session
        self.tx = tx
        self.request: Request = tx.request
        self.bye_after_ack: Callable[[float], None] | None = None
        self._agent = session.agent
        self._agreement, self._timer_headers = timer_terms
        self._has_offer = offer is not None
        self._negotiated = False
        """The first offer has its answer: in a reliable provisional response and its PRACK."""
        self._repeater: SuccessRepeater | None = None
        self._delayed_answer: Callable[[float], None] | None = None
        self._can_reliable = "100rel" in self.request.supported | self.request.require
        self._must_reliable = "100rel" in self.request.require
        self._reliable = ReliableSender(
            self._agent.timers,
            self.request.cseq.number,
            1 + int(self._agent.random() * (MAX_UINT31 - 2)),
            self._agent.config.t1,
            tx.respond,
            self._no_prack,
        )
        self._ring_again: Timer | None = None
        self._limit: Timer | None = self._agent.timers.arm(now + self._agent.config.ring_limit, self._unanswered)

    @property
    def negotiated(self) -> bool:
        return self._negotiated and not self._reliable.waiting_with_sdp

    @property
    def waits_for_ack(self) -> bool:
        return self._repeater is not None

    # ---- commands

    def _response(self, status: int, reason: str | None, headers: Headers, sdp: bytes | None) -> Response:
        session = self.session
        assert session.dialog is not None
        response = self.request.reply(status, reason, session.dialog.local_tag)
        out = response.headers
        if 100 < status < 300:
            for route in self.request.headers.get_all("Record-Route"):  # §12.1.1
                out.add("Record-Route", route)
            out.add("Contact", session.contact_for(self.tx.flow))
            out.add("Allow", self._agent.allow_inside)
        for name, value in headers:
            out.add(name, value)
        session.add_body(response, sdp)
        self._agent.add_server(response)
        return response

    def progress(
        self, status: int, now: float, sdp: bytes | None, reliable: bool | None, reason: str | None, headers: Headers
    ) -> bool:
        if not 100 < status < 200:
            raise LocalProtocolError("progress takes a status from 101 to 199")
        if self.session.state not in BEFORE_ANSWER or self._delayed_answer is not None:
            return False
        response = self._response(status, reason, headers, sdp)
        if sdp is not None:
            self.session.local_sdp = sdp
        self.session.step(SessionInput.PROGRESS)
        self._agent.timers.cancel(self._ring_again)
        is_reliable = self._must_reliable or bool(reliable and self._can_reliable)
        again = None if is_reliable else sdp  # what a reliable response said needs no saying again

        def ring_again(later: float) -> None:
            self.progress(status, later, again, reliable, reason, headers)

        self._ring_again = self._agent.timers.arm(now + self._agent.config.ringing_again, ring_again)
        if is_reliable:
            if sdp is not None and self._has_offer:
                self._negotiated = True
            return self._reliable.submit(response, now)
        self.tx.respond(response, now)
        return True

    def answer(self, now: float, sdp: bytes, headers: Headers) -> bool:
        if self.session.state not in BEFORE_ANSWER or self._delayed_answer is not None:
            return False
        self._agent.timers.cancel(self._limit)
        self._agent.timers.cancel(self._ring_again)
        if self._reliable.waiting_with_sdp:
            # RFC 3262 §3: not before the PRACK. The response waits, the caller of this need not.
            self._delayed_answer = lambda later: self._answer(later, sdp, headers)
            return True
        self._answer(now, sdp, headers)
        return True

    def _answer(self, now: float, sdp: bytes, headers: Headers) -> None:
        session = self.session
        self._delayed_answer = None
        self._reliable.stop()
        more = (("Supported", self._agent.supported), *self._timer_headers, *headers)
        # An answer that a reliable response had already is not given again (RFC 6337 §3.1.1).
        response = self._response(200, None, more, None if self._negotiated else sdp)
        if not self._negotiated:
            session.local_sdp = sdp
        elif sdp != session.local_sdp:
            session.offers.offer(sdp, now, None)  # what changed since then is offered after the ACK
        session.step(SessionInput.ANSWER)
        session.timer.restart(self._agreement, now)
        self._repeater = SuccessRepeater(self._agent, self.tx, response, self._no_ack, now)

    def reject(
        self,
        status: int,
        now: float,
        reason: str | None,
        headers: Headers,
        cause: EndCause,
        *,
        stateless: bool = False,
    ) -> bool:
        if not 300 <= status < 700:
            raise LocalProtocolError("reject takes a status from 300 to 699")
        if self.session.state not in BEFORE_ANSWER:
            return False
        self._stop()
        self.tx.respond(self._response(status, reason, headers, None), now)
        if stateless:
            self.tx.forget(now)
        self.session.finish(Ended(self.session, cause, None, by_remote=False), now)
        return True

    # ---- from the network

    def receive_cancel(self, cancel: Request, now: float) -> None:
        """§9.2; the CANCEL itself has its 200 already. After a final response it has no effect."""
        if self.session.state not in BEFORE_ANSWER:
            return
        self._stop()
        self.tx.respond(self._response(487, None, (), None), now)
        self.session.finish(Cancelled(self.session, reason_of(cancel)), now)

    def stop_for_bye(self, now: float) -> None:
        """§15.1.2: a BYE before the answer gets the INVITE a 487; after it, nobody will send the ACK any more."""
        if self.session.state in BEFORE_ANSWER:
            self._stop()
            self.tx.respond(self._response(487, None, (), None), now)
        elif self._repeater is not None:
            self._repeater.stop()
            self._repeater = None

    def receive_ack(self, ack: Request, now: float) -> bool:
        """False when it is for another INVITE of this dialog."""
        repeater = self._repeater
        if ack.cseq.number != self.request.cseq.number:
            return False
        if repeater is None:
            return True
        repeater.stop()
        self._repeater = None
        if self.bye_after_ack is not None:
            self.bye_after_ack(now)
            return True
        session = self.session
        session.step(SessionInput.ACK)
        sdp = None if self._has_offer or self._negotiated else sdp_of(ack)
        if sdp is not None:
            session.remote_sdp = sdp
        session.emit(Confirmed(session, sdp))
        session.offers.pump(now)
        return True

    def receive_prack(self, tx: ServerTransaction, now: float) -> None:
        """RFC 3262 §3. Its body is the answer to an offer of ours, or a new offer."""
        value = tx.request.headers.get("RAck")
        try:
            if value is None:
                raise RemoteProtocolError("no RAck header field")
            rack = parse_rack(value)
        except RemoteProtocolError as error:
            self._agent.reply(tx, 400, now, reason=error.reason)
            return
        acknowledged = self._reliable.acknowledge(rack, now)
        if acknowledged is None:
            self._agent.reply(tx, 481, now)
            return
        session = self.session
        sdp = sdp_of(tx.request)
        if sdp is not None and not self._has_offer and not self._negotiated and acknowledged.body:
            self._negotiated = True
            session.remote_sdp = sdp
            self._agent.reply(tx, 200, now)
            session.emit(Confirmed(session, sdp))
        elif sdp is not None and not session.ended:
            session.expect_answer(_PrackAnswer(session, tx), now)
            session.emit(Offered(session, sdp, "PRACK"))
        else:
            self._agent.reply(tx, 200, now)
        if self._delayed_answer is not None and not self._reliable.waiting_with_sdp:
            self._delayed_answer(now)

    # ---- from the clock

    def _no_ack(self, now: float) -> None:
        """§13.3.1.4: "the dialog is confirmed, but the session SHOULD be terminated"."""
        self._repeater = None
        if self.bye_after_ack is not None:
            self.bye_after_ack(now)
        elif self.session.state is SessionState.ANSWERED:
            self._agent.counters["acks_missing"] += 1
            self.session.hang_up("ack_timeout", now)

    def _no_prack(self, now: float) -> None:
        """RFC 3262 §3: "the UAS SHOULD reject the original request with a 5xx response"."""
        self._agent.counters["pracks_missing"] += 1
        self.reject(504, now, "No PRACK came", (), "ack_timeout")

    def _unanswered(self, now: float) -> None:
        self.reject(480, now, None, (), "unanswered")

    def _stop(self) -> None:
        self._agent.timers.cancel(self._limit)
        self._agent.timers.cancel(self._ring_again)
        self._reliable.stop()
        self._delayed_answer = None


class _PrackAnswer(IncomingOffer):
    def __init__(self, session: Session, tx: ServerTransaction) -> None:
        self._session, self._tx = session, tx

    def answer(self, sdp: bytes, headers: Headers, now: float) -> None:
        self._session.local_sdp = sdp
        self._session.agent.reply(self._tx, 200, now, headers=headers, sdp=sdp)

    def refuse(self, status: int, headers: Headers, now: float) -> None:
        self._session.agent.reply(self._tx, status, now, headers=headers)
