"""A session: one INVITE usage, incoming or outgoing, from the INVITE to the end of its dialog.

The commands return at once; what comes of them are events. A command that comes too late (the peer cancelled or hung up
meanwhile) does nothing and returns False: races with the network are no errors. One that can never be right raises
`LocalProtocolError`.

Parts: `session_state` (the table), `session_uac` and `session_uas` (the first INVITE), `session_offers` (offers after
it), `session_timer`, and here what both sides share.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.authorization import Authorizer, Login
from sent.sip.bodies import SDP
from sent.sip.client_request import ClientRequest, RequestUser
from sent.sip.dialog import Dialog, DialogId
from sent.sip.errors import LocalProtocolError, RemoteProtocolError
from sent.sip.events import Cancelled, EndCause, Ended, Failed, InfoReceived, SessionEvent
from sent.sip.flow import Flow, Target
from sent.sip.header_extras import Reason, parse_reason
from sent.sip.message import Message, Request, Response
from sent.sip.offer_incoming import IncomingOffer
from sent.sip.offer_outgoing import OutgoingOffer
from sent.sip.session_offers import Offers
from sent.sip.session_state import BEFORE_ANSWER, SessionInput, SessionState, next_state
from sent.sip.session_timer import SessionTimer
from sent.sip.transaction.client import FailureCause
from sent.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from sent.sip.agent import Agent
    from sent.sip.session_uac import OutgoingInvite
    from sent.sip.session_uas import IncomingInvite

Headers = tuple[tuple[str, str], ...]


class Session:
    """``local_sdp`` and ``remote_sdp`` are the descriptions in force. ``context`` belongs to the application."""

    def __init__(self, agent: Agent, session_id: int, call_id: str, state: SessionState, login: Login | None) -> None:
        self.id = session_id
        self.call_id = call_id
        self.state = state
        self.dialog: Dialog | None = None
        self.local_sdp: bytes | None = None
        self.remote_sdp: bytes | None = None
        self.context: object = None
        self.symmetric = False
        """Send inside the dialog to where its messages come from, whatever Contact says. Right for phones."""
        self.contact: str | None = None
        """A whole Contact value; None: made from ``contact_user`` and the address that the peer sees."""
        self.contact_user: str | None = None
        self.session_expires = agent.config.session_expires
        self.min_session_expires = agent.config.min_session_expires
        self.agent = agent
        self.dialogs: set[DialogId] = set()
        self.uac: OutgoingInvite | None = None
        self.uas: IncomingInvite | None = None
        self.timer = SessionTimer(agent.timers, self._refresh, self._expired)
        self.offers = Offers(self)
        self.incoming_offer: IncomingOffer | None = None
        self._login = login
        self._holds = 0

    @property
    def ended(self) -> bool:
        return self.state is SessionState.ENDED

    @property
    def outgoing(self) -> bool:
        return self.uac is not None

    @property
    def early_exchange_done(self) -> bool:
        """The first offer has its answer before the call has (RFC 3262): only then may UPDATE bring another."""
        part = self.uac or self.uas
        return part is not None and part.negotiated

    # ---- commands: the first INVITE

    def progress(
        self,
        status: int,
        now: float,
        sdp: bytes | None = None,
        *,
        reliable: bool | None = None,
        reason: str | None = None,
        headers: Headers = (),
    ) -> bool:
        """Send a 101-199. ``reliable`` None: as the caller requires (RFC 3262); True falls back when it cannot."""
        return self._incoming_invite().progress(status, now, sdp, reliable, reason, headers)

    def answer(self, now: float, sdp: bytes, *, headers: Headers = ()) -> bool:
        """Send the 200, with our answer, or with our offer when the INVITE had none."""
        return self._incoming_invite().answer(now, sdp, headers)

    def reject(
        self, status: int, now: float, *, reason: str | None = None, headers: Headers = (), stateless: bool = False
    ) -> bool:
        """Refuse an incoming call with a 300-699. `Ended` with cause ``rejected`` follows.

        ``stateless`` forgets the INVITE at once, as is right for challenges (a flood then fills no table).
        """
        return self._incoming_invite().reject(status, now, reason, headers, "rejected", stateless=stateless)

    def cancel(self, now: float, *, reason: Reason | None = None) -> bool:
        """Give up an outgoing call. `Failed` with cause ``cancelled`` follows at once; should the callee answer in the
        same moment, its 2xx gets ACK and BYE."""
        if self.uac is None:
            raise LocalProtocolError("cancel is for outgoing calls")
        if self.state not in BEFORE_ANSWER:
            return False
        self.uac.cancel(now, reason)
        self.finish(Failed(self, 487, "Request Terminated", None, "cancelled"), now)
        return True

    def bye(self, now: float, *, reason: Reason | None = None, headers: Headers = ()) -> bool:
        """Hang up an answered call. `Ended` follows at once."""
        if self.ended:
            return False
        if self.state in BEFORE_ANSWER:
            raise LocalProtocolError("bye before the answer; use cancel or reject")
        self.hang_up("bye", now, reason, headers)
        return True

    def end(self, now: float, *, status: int = 480, reason: Reason | None = None, headers: Headers = ()) -> bool:
        """Whichever fits: cancel, reject with ``status``, or bye."""
        if self.ended:
            return False
        if self.state not in BEFORE_ANSWER:
            return self.bye(now, reason=reason, headers=headers)
        if self.uac is not None:
            return self.cancel(now, reason=reason)
        more: Headers = (("Reason", str(reason)),) if reason is not None else ()
        return self.reject(status, now, headers=(*headers, *more))

    # ---- commands: later

    def offer(self, sdp: bytes, now: float, *, method: str | None = None) -> bool:
        """Change the session. Queued while another exchange is under way (the latest wins). ``method`` None: re-INVITE,
        or UPDATE before the answer. `OfferAnswered` or `OfferRefused` follows."""
        return False if self.ended else self.offers.offer(sdp, now, method)

    def ask_for_offer(self, now: float) -> bool:
        """A re-INVITE without SDP. Its 2xx brings an offer (`Offered`, ``INVITE``) whose answer goes into the ACK.
        Queued like `offer`."""
        return False if self.ended else self.offers.ask(now)

    def answer_offer(self, sdp: bytes, now: float, *, headers: Headers = ()) -> bool:
        """Answer `Offered`, or `Progress` and `Accepted` with ``offer_pending``."""
        offer, self.incoming_offer = self.incoming_offer, None
        if offer is None or self.ended:
            return False
        offer.answer(sdp, headers, now)
        return True

    def refuse_offer(self, status: int, now: float, *, headers: Headers = ()) -> bool:
        """Refuse `Offered` (488 for what cannot be; the session goes on as it was). An offer in a 2xx cannot be
        refused: it is acknowledged and the call hung up, as RFC 3261 §13.2.2.4 says."""
        offer, self.incoming_offer = self.incoming_offer, None
        if offer is None or self.ended:
            return False
        offer.refuse(status, headers, now)
        return True

    def info(self, content_type: str, body: bytes, now: float) -> bool:
        if self.ended or self.dialog is None:
            return False
        request = self.dialog.request("INFO")
        request.headers.add("Content-Type", content_type)
        request.body = body
        self.send_request(request, Indifferent(self), now)
        return True

    # ---- for the parts of a session, and the agent

    def step(self, event: SessionInput) -> None:
        self.state = next_state(self.state, event)

    def emit(self, event: SessionEvent) -> None:
        self.agent.emit(event)

    def finish(self, event: Failed | Cancelled | Ended, now: float) -> None:
        """The last event. What is still under way on the network goes on by itself."""
        self.step(SessionInput.END)
        self.timer.stop()
        self.offers.stop(now)
        self.incoming_offer = None
        self.emit(event)
        self.release(0)

    def expect_answer(self, offer: IncomingOffer, now: float) -> None:
        """The application is about to hear of ``offer``; refused when it says nothing before the peer gives up."""
        self.incoming_offer = offer
        config = self.agent.config

        def too_late(later: float) -> None:
            if self.incoming_offer is offer:
                self.agent.counters["offers_unanswered"] += 1
                self.refuse_offer(504, later)

        self.agent.timers.arm(now + config.give_up - config.t1, too_late)

    def hold(self) -> None:
        """Keep the dialog known (a late BYE gets its 200) until `release`."""
        self._holds += 1

    def release(self, count: int = 1) -> None:
        self._holds -= count
        if self.ended and self._holds == 0:
            self.agent.forget(self)

    def hang_up(
        self,
        cause: EndCause,
        now: float,
        reason: Reason | None = None,
        headers: Headers = (),
    ) -> None:
        """Send BYE and end. A callee waits with it for the ACK (RFC 3261 §15)."""
        if self.uas is not None and self.uas.waits_for_ack and cause != "ack_timeout":
            self.hold()
            self.uas.bye_after_ack = lambda later: self._bye_and_release(reason, headers, later)
        elif self.dialog is not None:
            if self.uac is not None:
                self.uac.acknowledge_before_bye(now)
            self.send_bye(self.dialog, now, reason, headers)
        self.finish(Ended(self, cause, reason, by_remote=False), now)

    def _bye_and_release(self, reason: Reason | None, headers: Headers, now: float) -> None:
        if self.dialog is not None:
            self.send_bye(self.dialog, now, reason, headers)
        self.release()

    def send_bye(self, dialog: Dialog, now: float, reason: Reason | None = None, headers: Headers = ()) -> None:
        request = dialog.request("BYE")
        if reason is not None:
            request.headers.add("Reason", str(reason))
        for name, value in headers:
            request.headers.add(name, value)
        self.hold()
        self.send_request(request, Releasing(self), now, dialog)

    def send_request(self, request: Request, user: RequestUser, now: float, dialog: Dialog | None = None) -> None:
        dialog = dialog or self.dialog
        assert dialog is not None
        dialog.symmetric = self.symmetric
        inside = dialog

        def routed(targets: list[Target], later: float) -> None:
            client = ClientRequest(
                self.agent.layer,
                request,
                targets,
                user,
                inside.next_cseq,
                Authorizer(self._login, self.agent.new_token) if self._login is not None else None,
                self.agent.complete_request,
            )
            if isinstance(user, OutgoingOffer):
                user.client = client
            client.start(later)

        self.agent.router.route(dialog, routed, now)

    def contact_for(self, place: Flow | Target) -> str:
        return self.contact or self.agent.contact_for(place, self.contact_user)

    def add_body(self, message: Message, sdp: bytes | None) -> None:
        if sdp is not None:
            message.headers.add("Content-Type", SDP)
            message.body = sdp

    def _incoming_invite(self) -> IncomingInvite:
        if self.uas is None:
            raise LocalProtocolError("this command is for incoming calls")
        return self.uas

    # ---- requests inside of the dialog

    def receive_request(self, tx: ServerTransaction, dialog: Dialog, now: float) -> None:
        request = tx.request
        if dialog is not self.dialog:
            if self.state not in BEFORE_ANSWER:  # a branch that lost, on its way out
                self.agent.reply(tx, 200 if request.method == "BYE" else 481, now)
                return
            self.dialog = dialog
        cseq = request.cseq.number
        if dialog.remote_cseq is not None and cseq < dialog.remote_cseq:
            # §12.2.2: "the request is out of order and MUST be rejected with a 500".
            self.agent.reply(tx, 500, now, reason="CSeq out of order", headers=(("Retry-After", "1"),))
            return
        dialog.remote_cseq = cseq
        dialog.peer = tx.flow
        match request.method:
            case "BYE":
                self._receive_bye(tx, now)
            case "INVITE":
                self.offers.receive_invite(tx, now)
            case "UPDATE":
                self.offers.receive_update(tx, now)
            case "PRACK" if self.uas is not None:
                self.uas.receive_prack(tx, now)
            case "INFO" if not self.ended:
                self.agent.reply(tx, 200, now)
                self.emit(InfoReceived(self, request.content_type or "", request.body))
            case "OPTIONS":
                self.agent.reply(tx, 200, now, headers=self.agent.capabilities)
            case "PRACK" | "INFO":
                self.agent.reply(tx, 481, now)
            case _:
                self.agent.reply(tx, 405, now, headers=(("Allow", self.agent.allow_inside),))

    def receive_ack(self, ack: Request, now: float) -> None:
        if self.uas is not None and self.uas.receive_ack(ack, now):
            return
        self.offers.receive_ack(ack, now)

    def _receive_bye(self, tx: ServerTransaction, now: float) -> None:
        self.agent.reply(tx, 200, now)
        if self.ended:
            return
        reason = reason_of(tx.request)
        if self.uas is not None:
            self.uas.stop_for_bye(now)
        if self.uac is not None and self.state in BEFORE_ANSWER:
            self.uac.cancel(now, None)
            self.finish(Failed(self, 487, "Request Terminated", None, "cancelled"), now)
            return
        self.finish(Ended(self, "bye", reason, by_remote=True), now)

    # ---- session timer

    def _refresh(self, now: float) -> None:
        self.offers.refresh(now)

    def _expired(self, now: float) -> None:
        if not self.ended:
            self.agent.counters["sessions_expired"] += 1
            self.hang_up("timer", now, Reason("SIP", 408, "Session expired"))


class Indifferent:
    """For INFO and PRACK: only an answer that says that the dialog is gone matters (RFC 5057 §5.1)."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_provisional(self, response: Response, now: float) -> None:
        pass

    def on_final(self, response: Response, now: float) -> None:
        if response.status == 481 and not self._session.ended and self._session.state not in BEFORE_ANSWER:
            self._session.hang_up("dialog_gone", now)

    def on_request_failed(self, cause: FailureCause, now: float) -> None:
        self._session.agent.counters["dialog_requests_lost"] += 1


class Releasing:
    """For BYE: whatever the answer is, the dialog may be forgotten then."""

    __slots__ = ("_session",)

    def __init__(self, session: Session) -> None:
        self._session = session

    def on_provisional(self, response: Response, now: float) -> None:
        pass

    def on_final(self, response: Response, now: float) -> None:
        self._session.release()

    def on_request_failed(self, cause: FailureCause, now: float) -> None:
        self._session.agent.counters["dialog_requests_lost"] += 1
        self._session.release()


def reasons_of(message: Message) -> list[Reason]:
    """Those `Reason` values (RFC 3326) that can be read."""
    found = []
    for value in message.headers.get_all("Reason"):
        try:
            found.append(parse_reason(value))
        except RemoteProtocolError:
            continue
    return found


def reason_of(message: Message) -> Reason | None:
    """The first readable `Reason`."""
    return next(iter(reasons_of(message)), None)
