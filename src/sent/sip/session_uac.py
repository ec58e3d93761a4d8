"""The first INVITE of an outgoing session: forks, reliable provisional responses, the first 2xx wins, CANCEL.

RFC 3261 §13.2 and §9.1, RFC 3262 §4, RFC 4028 §7. After `Session.finish` this object lives on in its transaction: a 2xx
that crosses our CANCEL, or that a second branch sends, gets ACK and BYE.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.sip.acknowledge import Acknowledgement
from sent.sip.authorization import Authorizer, Login
from sent.sip.bodies import sdp_of
from sent.sip.client_request import ClientRequest
from sent.sip.dialog import Dialog
from sent.sip.errors import RemoteProtocolError
from sent.sip.events import Accepted, Failed, Progress
from sent.sip.flow import Target
from sent.sip.grammar import parse_uint
from sent.sip.header_extras import Reason, parse_min_se
from sent.sip.header_values import RAck
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.offer_incoming import IncomingOffer
from sent.sip.reliable import ReliableReceiver
from sent.sip.session import Indifferent, Session
from sent.sip.session_state import BEFORE_ANSWER, SessionInput
from sent.sip.session_timer import agree_as_client, request_headers
from sent.sip.timers import Timer
from sent.sip.transaction.client import ClientTransaction, FailureCause

if TYPE_CHECKING:
    from collections.abc import Sequence

MAX_FORKS = 16


class Fork:
    """One callee that answered, provisionally or finally: an early dialog or the confirmed one."""

    __slots__ = ("ack", "dialog", "negotiated", "reliable")

    def __init__(self, dialog: Dialog) -> None:
        self.dialog = dialog
        self.reliable = ReliableReceiver()
        self.ack: Acknowledgement | None = None
        self.negotiated = False
        """Offer and answer have been exchanged with this one: in a reliable provisional response, or the 2xx."""


class OutgoingInvite:
    def __init__(
        self, session: Session, request: Request, targets: Sequence[Target], login: Login | None, *, has_offer: bool
    ) -> None:
        self.session = session
        self._agent = session.agent
        self._template = request
        self._targets = tuple(targets)
        self._login = login
        self._has_offer = has_offer
        self._forks: dict[str, Fork] = {}
        self._winner: Fork | None = None
        self._cseq = request.cseq.number
        self._cancel_reason: Reason | None = None
        self._cancelled = False
        self._cancel_sent: ClientTransaction | None = None
        self._alive: ClientTransaction | None = None
        """The attempt that has had a provisional response: only such a one may be cancelled (§9.1)."""
        self._min_se_raised = False
        self._ring_limit: Timer | None = None
        self.client = self._make_client(request)

    def _make_client(self, request: Request) -> ClientRequest:
        authorizer = Authorizer(self._login, self._agent.new_token) if self._login is not None else None
        return ClientRequest(
            self._agent.layer, request, self._targets, self, self._next_cseq, authorizer, self._complete
        )

    def _next_cseq(self) -> int:
        self._cseq += 1
        return self._cseq

    def _complete(self, request: Request, target: Target) -> None:
        # A new attempt starts with no early dialogs: those of the last one ended with its final response.
        self._drop_forks()
        request.headers.add("Contact", self.session.contact_for(target))

    def start(self, now: float) -> None:
        self._ring_limit = self._agent.timers.arm(now + self._agent.config.ring_limit, self._rang_too_long)
        self.client.start(now)

    @property
    def negotiated(self) -> bool:
        return any(fork.negotiated and fork.dialog is self.session.dialog for fork in self._forks.values())

    # ---- giving up

    def cancel(self, now: float, reason: Reason | None) -> None:
        self._cancelled = True
        self._cancel_reason = reason
        self.client.give_up = True
        self._stop_ring_limit()
        self._send_cancel(now)

    def _send_cancel(self, now: float) -> None:
        """§9.1: not before a provisional response, and once."""
        current = self.client.current
        if current is None or self._alive is not current or self._cancel_sent is current:
            return
        self._cancel_sent = current
        source = current.request
        cancel = Request("CANCEL", source.uri, Headers([("Max-Forwards", "70")]))
        for name in ("Route", "From", "To", "Call-ID"):
            for value in source.headers.get_all(name):
                cancel.headers.add(name, value)
        cancel.headers.add("CSeq", f"{source.cseq.number} CANCEL")
        if self._cancel_reason is not None:
            cancel.headers.add("Reason", str(self._cancel_reason))
        self._agent.layer.start_cancel(current, cancel, _CancelUser(), now)
        self._agent.timers.arm(now + self._agent.config.give_up, current.abandon)

    def _rang_too_long(self, now: float) -> None:
        if self.session.state in BEFORE_ANSWER:
            self.cancel(now, Reason("SIP", 408, "Not answered in time"))
            self.session.finish(Failed(self.session, 408, "Request Timeout", None, "timeout"), now)

    def _stop_ring_limit(self) -> None:
        self._agent.timers.cancel(self._ring_limit)

    # ---- RequestUser

    def on_provisional(self, response: Response, now: float) -> None:
        self._alive = self.client.current
        if self._cancelled:
            self._send_cancel(now)
            return
        tag = response.to.tag
        if response.status == 100 or self.session.state not in BEFORE_ANSWER:
            return
        sdp = sdp_of(response)
        offer_pending = False
        if tag:
            fork = self._fork(tag, response)
            if fork is None:
                return
            rseq = response.headers.get("RSeq")
            if rseq is not None and "100rel" in response.require:
                if not fork.reliable.accept(parse_uint(rseq, "RSeq")):
                    return
                offer_pending = self._reliable(fork, response, parse_uint(rseq, "RSeq"), sdp, now)
            self.session.dialog = fork.dialog
        self.session.step(SessionInput.PROGRESS)
        self.session.emit(Progress(self.session, response.status, response.reason, sdp, response, offer_pending))

    def on_final(self, response: Response, now: float) -> None:
        if response.status < 300:
            self._on_success(response, now)
            return
        self._stop_ring_limit()
        if self._cancelled or self.session.state not in BEFORE_ANSWER:
            return
        if response.status == 422 and self._raise_min_se(response, now):
            return
        self._drop_forks()
        self.session.finish(Failed(self.session, response.status, response.reason, response, "response"), now)

    def on_request_failed(self, cause: FailureCause, now: float) -> None:
        self._stop_ring_limit()
        if self._cancelled or self.session.state not in BEFORE_ANSWER:
            return
        self._drop_forks()
        status, words = (408, "Request Timeout") if cause == "timeout" else (503, "Service Unavailable")
        self.session.finish(Failed(self.session, status, words, None, cause), now)

    # ---- provisional responses

    def _fork(self, tag: str, response: Response) -> Fork | None:
        fork = self._forks.get(tag)
        if fork is None:
            current = self.client.current
            if len(self._forks) >= MAX_FORKS or current is None:
                self._agent.counters["forks_refused"] += 1
                return None
            fork = self._forks[tag] = Fork(Dialog.as_client(current.request, response, current.target))
            fork.dialog.local_cseq = self._cseq
            self._agent.know(fork.dialog, self.session)
        else:
            fork.dialog.learn(response)
        return fork

    def _drop_forks(self, but: Fork | None = None) -> None:
        for tag, fork in list(self._forks.items()):
            if fork is not but:
                self._agent.unknow(fork.dialog)
                if fork.ack is None:
                    del self._forks[tag]

    def _reliable(self, fork: Fork, response: Response, rseq: int, sdp: bytes | None, now: float) -> bool:
        """Acknowledge with PRACK. True when that has to wait for our answer to the offer in ``response``."""
        rack = RAck(rseq, response.cseq.number, "INVITE")
        if sdp is not None and not fork.negotiated:
            fork.negotiated = True
            self.session.remote_sdp = sdp
            if not self._has_offer:
                self.session.expect_answer(_PrackOffer(self, fork, rack), now)
                return True
        self.send_prack(fork, rack, None, now)
        return False

    def send_prack(self, fork: Fork, rack: RAck, sdp: bytes | None, now: float) -> None:
        prack = fork.dialog.request("PRACK")
        prack.headers.add("RAck", str(rack))
        self.session.add_body(prack, sdp)
        self.session.send_request(prack, Indifferent(self.session), now, fork.dialog)

    # ---- 2xx

    def _on_success(self, response: Response, now: float) -> None:
        tag = response.to.tag or ""
        current = self.client.current
        assert current is not None
        self._stop_ring_limit()
        fork = self._forks.get(tag)
        if fork is not None and fork.ack is not None:
            fork.ack.again(now)
            return
        if fork is not None and fork is self._winner:
            return  # its ACK waits for our answer
        if fork is None:
            fork = self._forks[tag] = Fork(Dialog.as_client(current.request, response, current.target))
            fork.dialog.local_cseq = self._cseq
        fork.dialog.take_routes(response)
        fork.dialog.refresh_target(response)
        if self.session.state not in BEFORE_ANSWER:
            # Cancelled meanwhile, or another fork was first: §13.2.2.4, and RFC 5407 §3.1.2.
            self._agent.counters["late_answers"] += 1
            self._agent.know(fork.dialog, self.session)
            fork.ack = Acknowledgement(self._agent, fork.dialog, current.request, None, now)
            words = "Cancelled" if self._cancelled else "Answered elsewhere"
            self.session.send_bye(fork.dialog, now, Reason("SIP", 487 if self._cancelled else 200, words))
            return
        self._winner = fork
        self._win(fork, response, now)

    def _win(self, fork: Fork, response: Response, now: float) -> None:
        session = self.session
        self._drop_forks(but=fork)
        session.dialog = fork.dialog
        self._agent.know(fork.dialog, session)
        session.step(SessionInput.ANSWER)
        session.timer.restart(agree_as_client(response, session.session_expires), now)
        sdp = sdp_of(response)
        if sdp is not None and not fork.negotiated:
            fork.negotiated = True
            session.remote_sdp = sdp
            if not self._has_offer:
                session.expect_answer(_AckOffer(self, fork), now)
                session.emit(Accepted(session, sdp, response, offer_pending=True))
                return
        self.acknowledge(fork, None, now)
        session.emit(Accepted(session, sdp, response))

    def acknowledge(self, fork: Fork, sdp: bytes | None, now: float) -> None:
        current = self.client.current
        assert current is not None
        fork.dialog.symmetric = self.session.symmetric
        fork.ack = Acknowledgement(self._agent, fork.dialog, current.request, sdp, now)
        self.session.step(SessionInput.ACK)
        self.session.offers.pump(now)

    def acknowledge_before_bye(self, now: float) -> None:
        """A late offer that was never answered still needs its ACK before the BYE (§13.2.2.4)."""
        if self._winner is not None and self._winner.ack is None:
            self.acknowledge(self._winner, None, now)

    # ---- 422

    def _raise_min_se(self, response: Response, now: float) -> bool:
        """RFC 4028 §7.4: once more, with the interval that the other side wants at least."""
        value = response.headers.get("Min-SE")
        if self._min_se_raised or value is None:
            return False
        try:
            minimum = parse_min_se(value)
        except RemoteProtocolError:
            return False
        session = self.session
        self._min_se_raised = True
        session.min_session_expires = max(session.min_session_expires, minimum)
        session.session_expires = max(session.session_expires, minimum)
        for name, text in request_headers(session.session_expires, session.min_session_expires, None):
            self._template.headers.set(name, text)
        self._template.headers.set("CSeq", f"{self._next_cseq()} INVITE")
        self.client = self._make_client(self._template)
        self._ring_limit = self._agent.timers.arm(now + self._agent.config.ring_limit, self._rang_too_long)
        self.client.start(now)
        return True


class _CancelUser:
    """The answer to a CANCEL says nothing that the INVITE's own final response does not."""

    def on_response(self, response: Response, now: float) -> None:
        pass

    def on_failure(self, cause: FailureCause, now: float) -> None:
        pass


class _PrackOffer(IncomingOffer):
    """An offer in a reliable provisional response: answered in the PRACK (RFC 3262 §5)."""

    def __init__(self, invite: OutgoingInvite, fork: Fork, rack: RAck) -> None:
        self._invite, self._fork, self._rack = invite, fork, rack

    def answer(self, sdp: bytes, headers: tuple[tuple[str, str], ...], now: float) -> None:
        self._invite.session.local_sdp = sdp
        self._invite.send_prack(self._fork, self._rack, sdp, now)

    def refuse(self, status: int, headers: tuple[tuple[str, str], ...], now: float) -> None:
        self._invite.session.cancel(now)


class _AckOffer(IncomingOffer):
    """An offer in the 2xx: answered in the ACK."""

    def __init__(self, invite: OutgoingInvite, fork: Fork) -> None:
        self._invite, self._fork = invite, fork

    def answer(self, sdp: bytes, headers: tuple[tuple[str, str], ...], now: float) -> None:
        self._invite.session.local_sdp = sdp
        self._invite.acknowledge(self._fork, sdp, now)

    def refuse(self, status: int, headers: tuple[tuple[str, str], ...], now: float) -> None:
        self._invite.session.hang_up("bye", now, Reason("SIP", status, "Offer refused"))
