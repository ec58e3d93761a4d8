"""INVITE server transaction: RFC 3261 §17.2.1 (figure 7) as corrected by RFC 6026 §7.1.

    NEW ──START──▶ PROCEEDING ◀─ send 1xx; retransmission: last response again; 200 ms: 100 Trying
                    │ send 3xx-6xx          │ send 2xx
                    ▼                       ▼
                COMPLETED                ACCEPTED ──L──▶ TERMINATED
                    │ G: send again         absorbs the INVITE; 2xx again when the user says so
                    │ H: no ACK (tell) ──▶ TERMINATED
                    └─ACK─▶ CONFIRMED ──I──▶ TERMINATED

PROCEEDING has no time limit here; the session that sits on top has one.

FORGET ends COMPLETED at once: what nobody has authenticated costs no memory (§8.2.7). A repetition is then new.
"""

from __future__ import annotations

from typing import ClassVar

from sent.sip.transaction.machine import Action, Input, Machine, State, Table


class ServerInvite(Machine):
    __slots__ = ()
    TABLE: ClassVar[Table] = {
        (State.NEW, Input.START): (State.PROCEEDING, (Action.ARM_TRYING, Action.PASS_UP)),
        # §17.2.1
        (State.PROCEEDING, Input.TRYING_DUE): (State.PROCEEDING, (Action.SEND_TRYING,)),
        (State.PROCEEDING, Input.RETRANSMISSION): (State.PROCEEDING, (Action.RESEND,)),
        (State.PROCEEDING, Input.ACK): (State.PROCEEDING, ()),
        (State.PROCEEDING, Input.SEND_PROVISIONAL): (State.PROCEEDING, (Action.STOP_TIMERS, Action.SEND)),
        (State.PROCEEDING, Input.SEND_SUCCESS): (State.ACCEPTED, (Action.STOP_TIMERS, Action.SEND, Action.ARM_L)),
        (State.PROCEEDING, Input.SEND_FAILURE): (
            State.COMPLETED,
            (Action.STOP_TIMERS, Action.SEND, Action.ARM_G, Action.ARM_H),
        ),
        # RFC 6026 §7.1: the user of the transaction retransmits the 2xx (RFC 3261 §13.3.1.4), not the transaction.
        (State.ACCEPTED, Input.RETRANSMISSION): (State.ACCEPTED, ()),
        (State.ACCEPTED, Input.ACK): (State.ACCEPTED, ()),
        (State.ACCEPTED, Input.SEND_SUCCESS): (State.ACCEPTED, (Action.SEND,)),
        (State.ACCEPTED, Input.TIMER_L): (State.TERMINATED, (Action.END,)),
        (State.COMPLETED, Input.FORGET): (State.TERMINATED, (Action.STOP_TIMERS, Action.END)),
        (State.COMPLETED, Input.RETRANSMISSION): (State.COMPLETED, (Action.RESEND,)),
        (State.COMPLETED, Input.TIMER_G): (State.COMPLETED, (Action.RESEND, Action.ARM_G)),
        (State.COMPLETED, Input.TIMER_H): (
            State.TERMINATED,
            (Action.STOP_TIMERS, Action.TELL_TIMEOUT, Action.END),
        ),
        (State.COMPLETED, Input.ACK): (State.CONFIRMED, (Action.STOP_TIMERS, Action.ARM_I)),
        (State.CONFIRMED, Input.RETRANSMISSION): (State.CONFIRMED, ()),
        (State.CONFIRMED, Input.ACK): (State.CONFIRMED, ()),
        (State.CONFIRMED, Input.TIMER_I): (State.TERMINATED, (Action.END,)),
    }
