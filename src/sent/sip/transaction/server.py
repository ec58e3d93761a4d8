"""A server transaction: carries out what `ServerInvite` and `ServerNonInvite` order."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sent.sip.flow import Flow, Target
from sent.sip.message import Request, Response
from sent.sip.timers import Timer
from sent.sip.transaction.machine import Action, Input, Machine, State
from sent.sip.transaction.server_invite import ServerInvite
from sent.sip.transaction.server_non_invite import ServerNonInvite

if TYPE_CHECKING:
    from sent.sip.transaction.layer import Transactions

ServerKey = tuple[str, ...]


class ServerTransaction:
    """``on_cancel`` is called with a CANCEL for it; ``to_tag`` is the tag of all our answers, where the To has none."""

    __slots__ = (
        "_data",
        "_interval",
        "_last",
        "_layer",
        "_target",
        "_timers",
        "flow",
        "key",
        "machine",
        "merge_key",
        "on_cancel",
        "request",
        "to_tag",
    )

    def __init__(self, layer: Transactions, key: ServerKey, request: Request, flow: Flow, target: Target) -> None:
        self.key = key
        self.request = request
        self.flow = flow
        self.machine: Machine = ServerInvite() if request.method == "INVITE" else ServerNonInvite()
        self.merge_key: tuple[str, ...] | None = None
        self.on_cancel: Callable[[Request, float], None] | None = None
        self.to_tag: str | None = None
        self._layer = layer
        self._target = target
        self._last: Response | None = None
        self._data = b""
        self._interval = layer.config.t1
        self._timers: list[Timer] = []

    @property
    def final_sent(self) -> bool:
        return self.machine.state not in {State.NEW, State.TRYING, State.PROCEEDING}

    def start(self, now: float) -> None:
        self._step(Input.START, None, now)

    def retransmission(self, now: float) -> None:
        self._step(Input.RETRANSMISSION, None, now)

    def ack(self, now: float) -> None:
        self._step(Input.ACK, None, now)

    def respond(self, response: Response, now: float) -> None:
        """Raises `LocalProtocolError` after a final response (but a 2xx to INVITE may be repeated)."""
        status = response.status
        event = Input.SEND_PROVISIONAL if status < 200 else Input.SEND_SUCCESS if status < 300 else Input.SEND_FAILURE
        self._step(event, response, now)

    def forget(self, now: float) -> None:
        """Right after a refusal: as if we were stateless (RFC 3261 §8.2.7)."""
        self._step(Input.FORGET, None, now)

    def _step(self, event: Input, response: Response | None, now: float) -> None:
        for action in self.machine.fire(event):
            self._do(action, response, now)

    def _do(self, action: Action, response: Response | None, now: float) -> None:
        config = self._layer.config
        reliable = self.flow.reliable
        match action:
            case Action.SEND:
                assert response is not None
                self._send(response, now)
            case Action.RESEND:
                if self._last is not None:
                    self._layer.transmit(self._target, self._last, self._data, now)
            case Action.SEND_TRYING:
                self._send(self.request.reply(100), now)
            case Action.STOP_TIMERS:
                self._stop_timers()
            case Action.ARM_TRYING:
                self._arm(Input.TRYING_DUE, now + config.trying_delay)
            case Action.ARM_ABANDONED:
                self._arm(Input.ABANDONED, now + config.give_up)
            case Action.ARM_G:
                if not reliable:
                    self._arm(Input.TIMER_G, now + self._interval)
                    self._interval = min(2 * self._interval, config.t2)
            case Action.ARM_H:
                self._arm(Input.TIMER_H, now + config.give_up)
            case Action.ARM_I:
                self._arm(Input.TIMER_I, now if reliable else now + config.t4)
            case Action.ARM_J:
                self._arm(Input.TIMER_J, now if reliable else now + config.give_up)
            case Action.ARM_L:
                self._arm(Input.TIMER_L, now + config.give_up)
            case Action.TELL_TIMEOUT:
                self._layer.counters["server_transactions_timed_out"] += 1
            case Action.END:
                self._stop_timers()
                self._layer.server_ended(self)
            case Action.PASS_UP:
                self._layer.user.on_request(self, now)
            case _:
                raise AssertionError(action)

    def _send(self, response: Response, now: float) -> None:
        self._last = response
        self._data = response.to_bytes()
        self._layer.transmit(self._target, response, self._data, now)

    def _arm(self, event: Input, at: float) -> None:
        self._timers.append(self._layer.timers.arm(at, lambda now: self._step(event, None, now)))

    def _stop_timers(self) -> None:
        for timer in self._timers:
            self._layer.timers.cancel(timer)
        self._timers.clear()
