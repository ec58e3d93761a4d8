"""A client transaction: carries out what `ClientInvite` and `ClientNonInvite` order."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, Protocol

from sent.sip.flow import Target
from sent.sip.message import Request, Response
from sent.sip.timers import Timer
from sent.sip.transaction.client_invite import ClientInvite
from sent.sip.transaction.client_non_invite import ClientNonInvite
from sent.sip.transaction.machine import Action, Input, Machine

if TYPE_CHECKING:
    from sent.sip.transaction.layer import Transactions

FailureCause = Literal["timeout", "transport"]


class ClientUser(Protocol):
    """What sits on top of a client transaction."""

    def on_response(self, response: Response, now: float) -> None: ...

    def on_failure(self, cause: FailureCause, now: float) -> None: ...


class ClientTransaction:
    """``request`` has its Via, and is never changed again: retransmissions are the same octets (RFC 3261 §17.1.1.2)."""

    __slots__ = ("_cause", "_data", "_interval", "_layer", "_timers", "key", "machine", "request", "target", "user")

    def __init__(
        self, layer: Transactions, key: tuple[str, str], request: Request, target: Target, user: ClientUser
    ) -> None:
        self.key = key
        self.request = request
        self.target = target
        self.user = user
        self.machine: Machine = ClientInvite() if request.method == "INVITE" else ClientNonInvite()
        self._layer = layer
        self._data = request.to_bytes()
        self._interval = layer.config.t1
        self._timers: list[Timer] = []

    def start(self, now: float) -> None:
        self._step(Input.START, None, now)

    def receive(self, response: Response, now: float) -> None:
        status = response.status
        event = Input.PROVISIONAL if status < 200 else Input.SUCCESS if status < 300 else Input.FAILURE
        self._step(event, response, now)

    def transport_failed(self, now: float) -> None:
        self._step(Input.TRANSPORT_ERROR, None, now)

    def abandon(self, now: float) -> None:
        """For an INVITE that nobody waits for any more (RFC 3261 §9.1)."""
        self._step(Input.ABANDONED, None, now)

    def _step(self, event: Input, response: Response | None, now: float) -> None:
        for action in self.machine.fire(event):
            self._do(action, response, now)

    def _do(self, action: Action, response: Response | None, now: float) -> None:
        config = self._layer.config
        reliable = self.target.reliable
        match action:
            case Action.SEND:
                self._layer.transmit(self.target, self.request, self._data, now)
            case Action.PASS_UP:
                assert response is not None
                self.user.on_response(response, now)
            case Action.SEND_ACK:
                assert response is not None
                ack = ack_for_failure(self.request, response)
                self._layer.transmit(self.target, ack, ack.to_bytes(), now)
            case Action.STOP_TIMERS:
                self._stop_timers()
            case Action.ARM_A:  # §17.1.1.2: doubles without a cap, until B
                if not reliable:
                    self._arm(Input.TIMER_A, now + self._interval)
                    self._interval *= 2
            case Action.ARM_E:  # §17.1.2.2: doubles up to T2
                if not reliable:
                    self._arm(Input.TIMER_E, now + self._interval)
                    self._interval = min(2 * self._interval, config.t2)
            case Action.ARM_E_SLOW:
                self._arm(Input.TIMER_E, now + config.t2)
            case Action.ARM_B:
                self._arm(Input.TIMER_B, now + config.give_up)
            case Action.ARM_F:
                self._arm(Input.TIMER_F, now + config.give_up)
            case Action.ARM_M:
                self._arm(Input.TIMER_M, now + config.give_up)
            case Action.ARM_D:
                self._arm_or_fire(Input.TIMER_D, 0.0 if reliable else config.timer_d, now)
            case Action.ARM_K:
                self._arm_or_fire(Input.TIMER_K, 0.0 if reliable else config.t4, now)
            case Action.TELL_TIMEOUT:
                self.user.on_failure("timeout", now)
            case Action.TELL_TRANSPORT_ERROR:
                self.user.on_failure("transport", now)
            case Action.END:
                self._stop_timers()
                self._layer.client_ended(self)
            case _:
                raise AssertionError(action)

    def _arm(self, event: Input, at: float) -> None:
        self._timers.append(self._layer.timers.arm(at, lambda now: self._step(event, None, now)))

    def _arm_or_fire(self, event: Input, delay: float, now: float) -> None:
        # A reliable transport brings no retransmission to absorb: the transaction ends with the next turn of the clock,
        # after the response has gone up.
        self._arm(event, now + delay)

    def _stop_timers(self) -> None:
        for timer in self._timers:
            self._layer.timers.cancel(timer)
        self._timers.clear()


def ack_for_failure(request: Request, response: Response) -> Request:
    """RFC 3261 §17.1.1.3: same Request-URI, Call-ID, From, top Via and Route as the INVITE, To of the response."""
    ack = Request("ACK", request.uri)
    source, headers = request.headers, ack.headers
    headers.add("Via", source.get("Via") or "")
    headers.add("Max-Forwards", "70")
    for name in ("Route", "Proxy-Authorization", "Authorization"):
        for value in source.get_all(name):
            headers.add(name, value)
    headers.add("From", source.get("From") or "")
    headers.add("To", response.headers.get("To") or source.get("To") or "")
    headers.add("Call-ID", source.get("Call-ID") or "")
    headers.add("CSeq", f"{request.cseq.number} ACK")
    return ack
