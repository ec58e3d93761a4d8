"""Non-INVITE server transaction: RFC 3261 §17.2.2 (figure 8).

    NEW ──START──▶ TRYING ──send 1xx──▶ PROCEEDING
                    │ absorbs            │ retransmission: last response again
                    └──send 2xx-6xx──────┴──▶ COMPLETED ──J──▶ TERMINATED
                                                retransmission: last response again

One addition: a request that nobody answers within 64*T1 is ABANDONED; its sender has given up by then (timer F).

FORGET ends COMPLETED at once: what nobody has authenticated costs no memory (§8.2.7). A repetition is then new.
"""

from __future__ import annotations

from typing import ClassVar

from sent.sip.transaction.machine import Action, Input, Machine, State, Table

_FINAL = (State.COMPLETED, (Action.STOP_TIMERS, Action.SEND, Action.ARM_J))
_ABANDONED = (State.TERMINATED, (Action.STOP_TIMERS, Action.TELL_TIMEOUT, Action.END))


class ServerNonInvite(Machine):
    __slots__ = ()
    TABLE: ClassVar[Table] = {
        (State.NEW, Input.START): (State.TRYING, (Action.ARM_ABANDONED, Action.PASS_UP)),
        # §17.2.2
        (State.TRYING, Input.RETRANSMISSION): (State.TRYING, ()),
        (State.TRYING, Input.SEND_PROVISIONAL): (State.PROCEEDING, (Action.SEND,)),
        (State.TRYING, Input.SEND_SUCCESS): _FINAL,
        (State.TRYING, Input.SEND_FAILURE): _FINAL,
        (State.TRYING, Input.ABANDONED): _ABANDONED,
        (State.PROCEEDING, Input.RETRANSMISSION): (State.PROCEEDING, (Action.RESEND,)),
        (State.PROCEEDING, Input.SEND_PROVISIONAL): (State.PROCEEDING, (Action.SEND,)),
        (State.PROCEEDING, Input.SEND_SUCCESS): _FINAL,
        (State.PROCEEDING, Input.SEND_FAILURE): _FINAL,
        (State.PROCEEDING, Input.ABANDONED): _ABANDONED,
        (State.COMPLETED, Input.FORGET): (State.TERMINATED, (Action.STOP_TIMERS, Action.END)),
        (State.COMPLETED, Input.RETRANSMISSION): (State.COMPLETED, (Action.RESEND,)),
        (State.COMPLETED, Input.TIMER_J): (State.TERMINATED, (Action.END,)),
    }
