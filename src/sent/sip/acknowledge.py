"""Both halves of a 2xx to INVITE: repeating it until the ACK comes, and sending the ACK each time that it does."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from sent.sip.bodies import SDP
from sent.sip.dialog import Dialog
from sent.sip.flow import Target
from sent.sip.message import Request, Response
from sent.sip.timers import Timer
from sent.sip.transaction.machine import State
from sent.sip.transaction.server import ServerTransaction

if TYPE_CHECKING:
    from sent.sip.agent import Agent


class SuccessRepeater:
    """RFC 3261 §13.3.1.4: the 2xx again at T1, 2*T1 … T2, over every transport, until the ACK or 64*T1."""

    __slots__ = ("_agent", "_gave_up", "_interval", "_response", "_timer", "_tx", "_until", "cseq")

    def __init__(
        self, agent: Agent, tx: ServerTransaction, response: Response, gave_up: Callable[[float], None], now: float
    ) -> None:
        self.cseq = tx.request.cseq.number
        self._agent = agent
        self._tx = tx
        self._response = response
        self._gave_up = gave_up
        self._interval = agent.config.t1
        self._until = now + agent.config.give_up
        tx.respond(response, now)
        self._timer: Timer | None = agent.timers.arm(now + self._interval, self._repeat)

    def _repeat(self, now: float) -> None:
        if now >= self._until:
            self._timer = None
            self._gave_up(now)
            return
        if self._tx.machine.state is State.ACCEPTED:  # timer L is due in the same instant as our last repetition
            self._tx.respond(self._response, now)
        self._interval = min(2 * self._interval, self._agent.config.t2)
        self._timer = self._agent.timers.arm(min(now + self._interval, self._until), self._repeat)

    def stop(self) -> None:
        self._agent.timers.cancel(self._timer)
        self._timer = None


class Acknowledgement:
    """The ACK for a 2xx (§13.2.2.4), kept as octets: each repetition of the 2xx asks for it again."""

    __slots__ = ("_ack", "_agent", "_data", "_target")

    def __init__(self, agent: Agent, dialog: Dialog, invite: Request, body: bytes | None, now: float) -> None:
        self._agent = agent
        self._target: Target | None = None
        self._data = b""
        self._ack = ack = dialog.request("ACK", cseq=invite.cseq.number)
        for name in ("Authorization", "Proxy-Authorization"):  # §22.1: the ACK has the credentials of the INVITE
            for value in invite.headers.get_all(name):
                ack.headers.add(name, value)
        if body is not None:
            ack.headers.add("Content-Type", SDP)
            ack.body = body
        agent.router.route(dialog, self._send_to, now)

    def _send_to(self, targets: list[Target], now: float) -> None:
        if not targets:
            return
        layer = self._agent.layer
        self._target = targets[0]
        self._ack.headers.prepend("Via", layer.via_for(self._target, layer.new_branch()))
        self._data = self._ack.to_bytes()
        self.again(now)

    def again(self, now: float) -> None:
        if self._target is not None:
            self._agent.layer.transmit(self._target, self._ack, self._data, now)
