"""Non-INVITE client transaction: RFC 3261 §17.1.2 (figure 6).

NEW ──START──▶ TRYING ──1xx──▶ PROCEEDING ◀─1xx (pass up)
                │ E: send again, doubling to T2   │ E: send again every T2
                ├── F or transport error ─────────┴──────────▶ TERMINATED (tell)
                └── 2xx-6xx (pass up) ── COMPLETED ──K──▶ TERMINATED
                                           absorbs further responses
"""

from __future__ import annotations

from typing import ClassVar

from sent.sip.transaction.machine import Action, Input, Machine, State, Table

_TIMED_OUT = (State.TERMINATED, (Action.STOP_TIMERS, Action.TELL_TIMEOUT, Action.END))
_BROKEN = (State.TERMINATED, (Action.STOP_TIMERS, Action.TELL_TRANSPORT_ERROR, Action.END))
_FINAL = (State.COMPLETED, (Action.STOP_TIMERS, Action.ARM_K, Action.PASS_UP))


class ClientNonInvite(Machine):
    __slots__ = ()
    TABLE: ClassVar[Table] = {
        (State.NEW, Input.START): (State.TRYING, (Action.SEND, Action.ARM_E, Action.ARM_F)),
        # §17.1.2.2
        (State.TRYING, Input.TIMER_E): (State.TRYING, (Action.SEND, Action.ARM_E)),
        (State.TRYING, Input.TIMER_F): _TIMED_OUT,
        (State.TRYING, Input.TRANSPORT_ERROR): _BROKEN,
        (State.TRYING, Input.PROVISIONAL): (State.PROCEEDING, (Action.PASS_UP,)),
        (State.TRYING, Input.SUCCESS): _FINAL,
        (State.TRYING, Input.FAILURE): _FINAL,
        (State.PROCEEDING, Input.TIMER_E): (State.PROCEEDING, (Action.SEND, Action.ARM_E_SLOW)),
        (State.PROCEEDING, Input.TIMER_F): _TIMED_OUT,
        (State.PROCEEDING, Input.TRANSPORT_ERROR): _BROKEN,
        (State.PROCEEDING, Input.PROVISIONAL): (State.PROCEEDING, (Action.PASS_UP,)),
        (State.PROCEEDING, Input.SUCCESS): _FINAL,
        (State.PROCEEDING, Input.FAILURE): _FINAL,
        (State.COMPLETED, Input.PROVISIONAL): (State.COMPLETED, ()),
        (State.COMPLETED, Input.SUCCESS): (State.COMPLETED, ()),
        (State.COMPLETED, Input.FAILURE): (State.COMPLETED, ()),
        (State.COMPLETED, Input.TRANSPORT_ERROR): (State.COMPLETED, ()),
        (State.COMPLETED, Input.TIMER_K): (State.TERMINATED, (Action.END,)),
        (State.TERMINATED, Input.TRANSPORT_ERROR): (State.TERMINATED, ()),
    }
