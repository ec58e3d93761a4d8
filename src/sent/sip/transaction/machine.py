"""What the four transaction machines share: the names of states, inputs and actions, and the step through a table."""

from __future__ import annotations

from collections.abc import Mapping
from enum import Enum, auto
from typing import ClassVar

from sent.sip.errors import LocalProtocolError


class State(Enum):
    NEW = auto()
    CALLING = auto()
    TRYING = auto()
    PROCEEDING = auto()
    ACCEPTED = auto()
    COMPLETED = auto()
    CONFIRMED = auto()
    TERMINATED = auto()


class Input(Enum):
    START = auto()
    # From the network, to a client.
    PROVISIONAL = auto()
    SUCCESS = auto()
    FAILURE = auto()
    # From the network, to a server.
    RETRANSMISSION = auto()
    ACK = auto()
    # From the user of a server transaction.
    SEND_PROVISIONAL = auto()
    SEND_SUCCESS = auto()
    SEND_FAILURE = auto()
    FORGET = auto()
    """Keep nothing of a request that was refused: RFC 3261 §8.2.7 and §26.3.2.4, for challenges."""
    # From below, and from the clock.
    TRANSPORT_ERROR = auto()
    TIMER_A = auto()
    TIMER_B = auto()
    TIMER_D = auto()
    TIMER_E = auto()
    TIMER_F = auto()
    TIMER_G = auto()
    TIMER_H = auto()
    TIMER_I = auto()
    TIMER_J = auto()
    TIMER_K = auto()
    TIMER_L = auto()
    TIMER_M = auto()
    TRYING_DUE = auto()
    ABANDONED = auto()


class Action(Enum):
    SEND = auto()
    """The request, or the response that the input brought."""
    RESEND = auto()
    """The last response again, if there was one."""
    SEND_ACK = auto()
    SEND_TRYING = auto()
    PASS_UP = auto()
    TELL_TIMEOUT = auto()
    TELL_TRANSPORT_ERROR = auto()
    STOP_TIMERS = auto()
    ARM_A = auto()
    ARM_B = auto()
    ARM_D = auto()
    ARM_E = auto()
    ARM_E_SLOW = auto()
    """At T2 at once: the server has shown that it lives (RFC 3261 §17.1.2.2)."""
    ARM_F = auto()
    ARM_G = auto()
    ARM_H = auto()
    ARM_I = auto()
    ARM_J = auto()
    ARM_K = auto()
    ARM_L = auto()
    ARM_M = auto()
    ARM_TRYING = auto()
    ARM_ABANDONED = auto()
    END = auto()


Table = Mapping[tuple[State, Input], tuple[State, tuple[Action, ...]]]


class Machine:
    """A state and a table. Subclasses bring the table; nothing else may change the state."""

    TABLE: ClassVar[Table] = {}
    __slots__ = ("state",)

    def __init__(self) -> None:
        self.state = State.NEW

    def fire(self, event: Input) -> tuple[Action, ...]:
        """Step. The caller must carry out what is returned, in order.

        Raises `LocalProtocolError` for a pair that the table does not have: whoever fired it has a bug, because what
        the network may send in a state is in the table, if only to be ignored.
        """
        row = self.TABLE.get((self.state, event))
        if row is None:
            raise LocalProtocolError(f"{type(self).__name__}: {event.name} in state {self.state.name}")
        self.state = row[0]
        return row[1]
