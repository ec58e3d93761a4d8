"""Every row of the four tables, and every pair that is not in one."""

from __future__ import annotations

import pytest

from sent.sip.errors import LocalProtocolError
from sent.sip.transaction.client_invite import ClientInvite
from sent.sip.transaction.client_non_invite import ClientNonInvite
from sent.sip.transaction.machine import Action as A
from sent.sip.transaction.machine import Input as I
from sent.sip.transaction.machine import Machine
from sent.sip.transaction.machine import State as S
from sent.sip.transaction.server_invite import ServerInvite
from sent.sip.transaction.server_non_invite import ServerNonInvite

MACHINES: list[type[Machine]] = [ClientInvite, ClientNonInvite, ServerInvite, ServerNonInvite]

# From the figures of RFC 3261 §17 and RFC 6026, written down apart from the tables: a path of inputs, and for each the
# state that it leads to and what must be among the actions.
PATHS: list[tuple[type[Machine], list[tuple[I, S, set[A]]]]] = [
    # figure 5, and RFC 6026 §7.2
    (
        ClientInvite,
        [
            (I.START, S.CALLING, {A.SEND, A.ARM_A, A.ARM_B}),
            (I.TIMER_A, S.CALLING, {A.SEND, A.ARM_A}),
            (I.PROVISIONAL, S.PROCEEDING, {A.PASS_UP, A.STOP_TIMERS}),
            (I.PROVISIONAL, S.PROCEEDING, {A.PASS_UP}),
            (I.FAILURE, S.COMPLETED, {A.PASS_UP, A.SEND_ACK, A.ARM_D}),
            (I.FAILURE, S.COMPLETED, {A.SEND_ACK}),
            (I.TIMER_D, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ClientInvite,
        [
            (I.START, S.CALLING, {A.SEND}),
            (I.SUCCESS, S.ACCEPTED, {A.PASS_UP, A.ARM_M}),
            (I.SUCCESS, S.ACCEPTED, {A.PASS_UP}),
            (I.FAILURE, S.ACCEPTED, set()),
            (I.TIMER_M, S.TERMINATED, {A.END}),
        ],
    ),
    (ClientInvite, [(I.START, S.CALLING, {A.SEND}), (I.TIMER_B, S.TERMINATED, {A.TELL_TIMEOUT, A.END})]),
    (
        ClientInvite,
        [
            (I.START, S.CALLING, {A.SEND}),
            (I.PROVISIONAL, S.PROCEEDING, {A.PASS_UP}),
            (I.SUCCESS, S.ACCEPTED, {A.PASS_UP, A.ARM_M}),
        ],
    ),
    (
        ClientInvite,
        [
            (I.START, S.CALLING, {A.SEND}),
            (I.PROVISIONAL, S.PROCEEDING, set()),
            (I.TRANSPORT_ERROR, S.TERMINATED, {A.TELL_TRANSPORT_ERROR, A.END}),
        ],
    ),
    (
        ClientInvite,
        [
            (I.START, S.CALLING, {A.SEND}),
            (I.PROVISIONAL, S.PROCEEDING, set()),
            (I.ABANDONED, S.TERMINATED, {A.END}),
        ],
    ),
    # figure 6
    (
        ClientNonInvite,
        [
            (I.START, S.TRYING, {A.SEND, A.ARM_E, A.ARM_F}),
            (I.TIMER_E, S.TRYING, {A.SEND, A.ARM_E}),
            (I.PROVISIONAL, S.PROCEEDING, {A.PASS_UP}),
            (I.TIMER_E, S.PROCEEDING, {A.SEND, A.ARM_E_SLOW}),
            (I.SUCCESS, S.COMPLETED, {A.PASS_UP, A.ARM_K}),
            (I.SUCCESS, S.COMPLETED, set()),
            (I.TIMER_K, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ClientNonInvite,
        [
            (I.START, S.TRYING, {A.SEND}),
            (I.PROVISIONAL, S.PROCEEDING, set()),
            (I.TIMER_F, S.TERMINATED, {A.TELL_TIMEOUT, A.END}),
        ],
    ),
    (
        ClientNonInvite,
        [(I.START, S.TRYING, {A.SEND}), (I.TRANSPORT_ERROR, S.TERMINATED, {A.TELL_TRANSPORT_ERROR, A.END})],
    ),
    # figure 7, and RFC 6026 §7.1
    (
        ServerInvite,
        [
            (I.START, S.PROCEEDING, {A.PASS_UP, A.ARM_TRYING}),
            (I.TRYING_DUE, S.PROCEEDING, {A.SEND_TRYING}),
            (I.RETRANSMISSION, S.PROCEEDING, {A.RESEND}),
            (I.SEND_PROVISIONAL, S.PROCEEDING, {A.SEND}),
            (I.SEND_FAILURE, S.COMPLETED, {A.SEND, A.ARM_G, A.ARM_H}),
            (I.TIMER_G, S.COMPLETED, {A.RESEND, A.ARM_G}),
            (I.RETRANSMISSION, S.COMPLETED, {A.RESEND}),
            (I.ACK, S.CONFIRMED, {A.STOP_TIMERS, A.ARM_I}),
            (I.ACK, S.CONFIRMED, set()),
            (I.RETRANSMISSION, S.CONFIRMED, set()),
            (I.TIMER_I, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ServerInvite,
        [
            (I.START, S.PROCEEDING, {A.PASS_UP}),
            (I.SEND_SUCCESS, S.ACCEPTED, {A.SEND, A.ARM_L, A.STOP_TIMERS}),
            (I.RETRANSMISSION, S.ACCEPTED, set()),
            (I.SEND_SUCCESS, S.ACCEPTED, {A.SEND}),
            (I.TIMER_L, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ServerInvite,
        [
            (I.START, S.PROCEEDING, set()),
            (I.SEND_FAILURE, S.COMPLETED, {A.SEND}),
            (I.TIMER_H, S.TERMINATED, {A.TELL_TIMEOUT, A.END}),
        ],
    ),
    # figure 8
    (
        ServerNonInvite,
        [
            (I.START, S.TRYING, {A.PASS_UP}),
            (I.RETRANSMISSION, S.TRYING, set()),
            (I.SEND_PROVISIONAL, S.PROCEEDING, {A.SEND}),
            (I.RETRANSMISSION, S.PROCEEDING, {A.RESEND}),
            (I.SEND_FAILURE, S.COMPLETED, {A.SEND, A.ARM_J}),
            (I.RETRANSMISSION, S.COMPLETED, {A.RESEND}),
            (I.TIMER_J, S.TERMINATED, {A.END}),
        ],
    ),
    (ServerNonInvite, [(I.START, S.TRYING, set()), (I.ABANDONED, S.TERMINATED, {A.END})]),
]


@pytest.mark.parametrize(("machine", "path"), PATHS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_paths_of_the_rfc(machine: type[Machine], path: list[tuple[I, S, set[A]]]) -> None:
    running = machine()
    for event, state, wanted in path:
        actions = running.fire(event)
        assert running.state is state
        assert wanted <= set(actions), f"{event.name} in {state.name}"
        if not wanted and event is not I.START:
            assert A.SEND not in actions


@pytest.mark.parametrize("machine", MACHINES)
def test_every_pair_is_either_a_row_or_an_error_that_changes_nothing(machine: type[Machine]) -> None:
    for state in S:
        for event in I:
            running = machine()
            running.state = state
            row = machine.TABLE.get((state, event))
            if row is None:
                with pytest.raises(LocalProtocolError, match=f"{event.name} in state {state.name}"):
                    running.fire(event)
                assert running.state is state
            else:
                assert running.fire(event) == row[1]
                assert running.state is row[0]


@pytest.mark.parametrize("machine", MACHINES)
def test_the_end_is_reported_exactly_when_it_is_reached(machine: type[Machine]) -> None:
    for (state, _), (following, actions) in machine.TABLE.items():
        assert (A.END in actions) == (following is S.TERMINATED and state is not S.TERMINATED)


@pytest.mark.parametrize("machine", MACHINES)
def test_what_the_network_may_send_is_never_an_error(machine: type[Machine]) -> None:
    client = machine in {ClientInvite, ClientNonInvite}
    inputs = {I.PROVISIONAL, I.SUCCESS, I.FAILURE} if client else {I.RETRANSMISSION}
    states = {state for state, _ in machine.TABLE} - {S.NEW, S.TERMINATED}
    for state in states:
        for event in inputs:
            assert (state, event) in machine.TABLE


@pytest.mark.parametrize("machine", MACHINES)
def test_every_state_that_is_left_to_a_timer_arms_one(machine: type[Machine]) -> None:
    """No transaction may wait for ever: but PROCEEDING of INVITE, which the session bounds."""
    arming = {action for action in A if action.name.startswith("ARM_")}
    for (state, _), (following, actions) in machine.TABLE.items():
        if following in {S.TERMINATED, state} or following is S.PROCEEDING:
            continue
        assert arming & set(actions), f"{machine.__name__}: {state.name} → {following.name}"


def test_nothing_illegal_is_answered_after_the_final_response() -> None:
    for machine in (ServerInvite, ServerNonInvite):
        running = machine()
        running.fire(I.START)
        running.fire(I.SEND_FAILURE)
        for event in (I.SEND_PROVISIONAL, I.SEND_SUCCESS, I.SEND_FAILURE):
            with pytest.raises(LocalProtocolError):
                running.fire(event)
