"""One offer of theirs, which waits for the application, and what its answer sends: RFC 3261 §14.2, RFC 3311 §5.2."""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.acknowledge import SuccessRepeater
from sent.sip.bodies import sdp_of
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import OfferAnswered, OfferRefused
from sent.sip.message import Request
from sent.sip.session_timer import IntervalTooSmall, agree_as_server
from sent.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from sent.sip.session import Session
    from sent.sip.session_offers import Offers

Headers = tuple[tuple[str, str], ...]


class IncomingOffer:
    """An offer of theirs that waits for the application."""

    def answer(self, sdp: bytes, headers: Headers, now: float) -> None:
        raise NotImplementedError

    def refuse(self, status: int, headers: Headers, now: float) -> None:
        raise NotImplementedError


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
            ("Allow", session.agent.allow_inside),
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
