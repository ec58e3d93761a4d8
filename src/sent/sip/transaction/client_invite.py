"""INVITE client transaction: RFC 3261 §17.1.1 (figure 5) as corrected by RFC 6026 §7.2 and §8.4.

    NEW ──START──▶ CALLING ──1xx──▶ PROCEEDING ◀─1xx (pass up)
                    │ A: send again   │    │
                    │ B: time-out ────┼────┼──────────────▶ TERMINATED
                    ├──2xx────────────┴─2xx┼──▶ ACCEPTED ──M──▶ TERMINATED
                    │                      │     2xx: pass up (a fork, or the ACK was lost)
                    └──3xx-6xx──────3xx-6xx┴──▶ COMPLETED ──D──▶ TERMINATED
                         (ACK, pass up)           3xx-6xx: ACK again

ABANDONED (64*T1 after a CANCEL, §9.1) ends CALLING and PROCEEDING and is ignored later.
One addition: a transport error in PROCEEDING ends the transaction too. The RFC would wait for the response on another
connection; behind a NAT none can come.
"""

from __future__ import annotations

from typing import ClassVar

from sent.sip.transaction.machine import Action, Input, Machine, State, Table


class ClientInvite(Machine):
    __slots__ = ()
    TABLE: ClassVar[Table] = {
        (State.NEW, Input.START): (State.CALLING, (Action.SEND, Action.ARM_A, Action.ARM_B)),
        # §17.1.1.2
        (State.CALLING, Input.TIMER_A): (State.CALLING, (Action.SEND, Action.ARM_A)),
        (State.CALLING, Input.TIMER_B): (State.TERMINATED, (Action.STOP_TIMERS, Action.TELL_TIMEOUT, Action.END)),
        (State.CALLING, Input.TRANSPORT_ERROR): (
            State.TERMINATED,
            (Action.STOP_TIMERS, Action.TELL_TRANSPORT_ERROR, Action.END),
        ),
        (State.CALLING, Input.PROVISIONAL): (State.PROCEEDING, (Action.STOP_TIMERS, Action.PASS_UP)),
        (State.CALLING, Input.SUCCESS): (State.ACCEPTED, (Action.STOP_TIMERS, Action.ARM_M, Action.PASS_UP)),
        (State.CALLING, Input.FAILURE): (
            State.COMPLETED,
            (Action.STOP_TIMERS, Action.SEND_ACK, Action.ARM_D, Action.PASS_UP),
        ),
        (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Action.PASS_UP,)),
        (State.PROCEEDING, Input.SUCCESS): (State.ACCEPTED, (Action.ARM_M, Action.PASS_UP)),
        (State.PROCEEDING, Input.FAILURE): (State.COMPLETED, (Action.SEND_ACK, Action.ARM_D, Action.PASS_UP)),
        (State.PROCEEDING, Input.TRANSPORT_ERROR): (State.TERMINATED, (Action.TELL_TRANSPORT_ERROR, Action.END)),
        # §9.1: no final response within 64*T1 of the CANCEL: "destroy the client transaction".
        (State.CALLING, Input.ABANDONED): (State.TERMINATED, (Action.STOP_TIMERS, Action.END)),
        (State.PROCEEDING, Input.ABANDONED): (State.TERMINATED, (Action.END,)),
        (State.ACCEPTED, Input.ABANDONED): (State.ACCEPTED, ()),
        (State.COMPLETED, Input.ABANDONED): (State.COMPLETED, ()),
        (State.TERMINATED, Input.ABANDONED): (State.TERMINATED, ()),
        # RFC 6026 §7.2: further 2xx go up, all else is absorbed until timer M.
        (State.ACCEPTED, Input.PROVISIONAL): (State.ACCEPTED, ()),
        (State.ACCEPTED, Input.SUCCESS): (State.ACCEPTED, (Action.PASS_UP,)),
        (State.ACCEPTED, Input.FAILURE): (State.ACCEPTED, ()),
        (State.ACCEPTED, Input.TRANSPORT_ERROR): (State.ACCEPTED, ()),
        (State.ACCEPTED, Input.TIMER_M): (State.TERMINATED, (Action.END,)),
        # §17.1.1.2: "Any retransmissions of the final response ... MUST cause the ACK to be re-passed".
        (State.COMPLETED, Input.PROVISIONAL): (State.COMPLETED, ()),
        (State.COMPLETED, Input.SUCCESS): (State.COMPLETED, ()),
        (State.COMPLETED, Input.FAILURE): (State.COMPLETED, (Action.SEND_ACK,)),
        (State.COMPLETED, Input.TRANSPORT_ERROR): (State.TERMINATED, (Action.STOP_TIMERS, Action.END)),
        (State.COMPLETED, Input.TIMER_D): (State.TERMINATED, (Action.END,)),
        # The end may be reached inside of a burst that still holds responses.
        (State.TERMINATED, Input.TRANSPORT_ERROR): (State.TERMINATED, ()),
    }
