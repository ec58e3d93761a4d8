"""Every row of the four tables, and every pair that is not in one."""

from __future__ import annotations

import pytest

from sent.sip.errors import LocalProtocolError
from sent.sip.transaction.client_invite import ClientInvite
from sent.sip.transaction.client_non_invite import ClientNonInvite
from sent.sip.transaction.machine import Action, Input, Machine, State
from sent.sip.transaction.server_invite import ServerInvite
from sent.sip.transaction.server_non_invite import ServerNonInvite

A, N, S = Action, Input, State

MACHINES: list[type[Machine]] = [ClientInvite, ClientNonInvite, ServerInvite, ServerNonInvite]

# From the figures of RFC 3261 §17 and RFC 6026, written down apart from the tables: a path of inputs, and for each the
# state that it leads to and what must be among the actions.
PATHS: list[tuple[type[Machine], list[tuple[Input, State, set[Action]]]]] = [
    # figure 5, and RFC 6026 §7.2
    (
        ClientInvite,
        [
            (N.START, S.CALLING, {A.SEND, A.ARM_A, A.ARM_B}),
            (N.TIMER_A, S.CALLING, {A.SEND, A.ARM_A}),
            (N.PROVISIONAL, S.PROCEEDING, {A.PASS_UP, A.STOP_TIMERS}),
            (N.PROVISIONAL, S.PROCEEDING, {A.PASS_UP}),
            (N.FAILURE, S.COMPLETED, {A.PASS_UP, A.SEND_ACK, A.ARM_D}),
            (N.FAILURE, S.COMPLETED, {A.SEND_ACK}),
            (N.TIMER_D, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ClientInvite,
        [
            (N.START, S.CALLING, {A.SEND}),
            (N.SUCCESS, S.ACCEPTED, {A.PASS_UP, A.ARM_M}),
            (N.SUCCESS, S.ACCEPTED, {A.PASS_UP}),
            (N.FAILURE, S.ACCEPTED, set()),
            (N.TIMER_M, S.TERMINATED, {A.END}),
        ],
    ),
    (ClientInvite, [(N.START, S.CALLING, {A.SEND}), (N.TIMER_B, S.TERMINATED, {A.TELL_TIMEOUT, A.END})]),
    (
        ClientInvite,
        [
            (N.START, S.CALLING, {A.SEND}),
            (N.PROVISIONAL, S.PROCEEDING, {A.PASS_UP}),
            (N.SUCCESS, S.ACCEPTED, {A.PASS_UP, A.ARM_M}),
        ],
    ),
    (
        ClientInvite,
        [
            (N.START, S.CALLING, {A.SEND}),
            (N.PROVISIONAL, S.PROCEEDING, set()),
            (N.TRANSPORT_ERROR, S.TERMINATED, {A.TELL_TRANSPORT_ERROR, A.END}),
        ],
    ),
    (
        ClientInvite,
        [
            (N.START, S.CALLING, {A.SEND}),
            (N.PROVISIONAL, S.PROCEEDING, set()),
            (N.ABANDONED, S.TERMINATED, {A.END}),
        ],
    ),
    # figure 6
    (
        ClientNonInvite,
        [
            (N.START, S.TRYING, {A.SEND, A.ARM_E, A.ARM_F}),
            (N.TIMER_E, S.TRYING, {A.SEND, A.ARM_E}),
            (N.PROVISIONAL, S.PROCEEDING, {A.PASS_UP}),
            (N.TIMER_E, S.PROCEEDING, {A.SEND, A.ARM_E_SLOW}),
            (N.SUCCESS, S.COMPLETED, {A.PASS_UP, A.ARM_K}),
            (N.SUCCESS, S.COMPLETED, set()),
            (N.TIMER_K, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ClientNonInvite,
        [
            (N.START, S.TRYING, {A.SEND}),
            (N.PROVISIONAL, S.PROCEEDING, set()),
            (N.TIMER_F, S.TERMINATED, {A.TELL_TIMEOUT, A.END}),
        ],
    ),
    (
        ClientNonInvite,
        [(N.START, S.TRYING, {A.SEND}), (N.TRANSPORT_ERROR, S.TERMINATED, {A.TELL_TRANSPORT_ERROR, A.END})],
    ),
    # figure 7, and RFC 6026 §7.1
    (
        ServerInvite,
        [
            (N.START, S.PROCEEDING, {A.PASS_UP, A.ARM_TRYING}),
            (N.TRYING_DUE, S.PROCEEDING, {A.SEND_TRYING}),
            (N.RETRANSMISSION, S.PROCEEDING, {A.RESEND}),
            (N.SEND_PROVISIONAL, S.PROCEEDING, {A.SEND}),
            (N.SEND_FAILURE, S.COMPLETED, {A.SEND, A.ARM_G, A.ARM_H}),
            (N.TIMER_G, S.COMPLETED, {A.RESEND, A.ARM_G}),
            (N.RETRANSMISSION, S.COMPLETED, {A.RESEND}),
            (N.ACK, S.CONFIRMED, {A.STOP_TIMERS, A.ARM_I}),
            (N.ACK, S.CONFIRMED, set()),
            (N.RETRANSMISSION, S.CONFIRMED, set()),
            (N.TIMER_I, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ServerInvite,
        [
            (N.START, S.PROCEEDING, {A.PASS_UP}),
            (N.SEND_SUCCESS, S.ACCEPTED, {A.SEND, A.ARM_L, A.STOP_TIMERS}),
            (N.RETRANSMISSION, S.ACCEPTED, set()),
            (N.SEND_SUCCESS, S.ACCEPTED, {A.SEND}),
            (N.TIMER_L, S.TERMINATED, {A.END}),
        ],
    ),
    (
        ServerInvite,
        [
            (N.START, S.PROCEEDING, set()),
            (N.SEND_FAILURE, S.COMPLETED, {A.SEND}),
            (N.TIMER_H, S.TERMINATED, {A.TELL_TIMEOUT, A.END}),
        ],
    ),
    # figure 8
    (
        ServerNonInvite,
        [
            (N.START, S.TRYING, {A.PASS_UP}),
            (N.RETRANSMISSION, S.TRYING, set()),
            (N.SEND_PROVISIONAL, S.PROCEEDING, {A.SEND}),
            (N.RETRANSMISSION, S.PROCEEDING, {A.RESEND}),
            (N.SEND_FAILURE, S.COMPLETED, {A.SEND, A.ARM_J}),
            (N.RETRANSMISSION, S.COMPLETED, {A.RESEND}),
            (N.TIMER_J, S.TERMINATED, {A.END}),
        ],
    ),
    (ServerNonInvite, [(N.START, S.TRYING, set()), (N.ABANDONED, S.TERMINATED, {A.END})]),
]


@pytest.mark.parametrize(("machine", "path"), PATHS, ids=lambda value: getattr(value, "__name__", ""))
def test_the_paths_of_the_rfc(machine: type[Machine], path: list[tuple[Input, State, set[Action]]]) -> None:
    running = machine()
    for event, state, wanted in path:
        actions = running.fire(event)
        assert running.state is state
        assert wanted <= set(actions), f"{event.name} in {state.name}"
        if not wanted and event is not N.START:
            assert A.SEND not in actions


@pytest.mark.parametrize("machine", MACHINES)
def test_every_pair_is_either_a_row_or_an_error_that_changes_nothing(machine: type[Machine]) -> None:
    for state in S:
        for event in N:
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
    inputs = {N.PROVISIONAL, N.SUCCESS, N.FAILURE} if client else {N.RETRANSMISSION}
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
        running.fire(N.START)
        running.fire(N.SEND_FAILURE)
        for event in (N.SEND_PROVISIONAL, N.SEND_SUCCESS, N.SEND_FAILURE):
            with pytest.raises(LocalProtocolError):
                running.fire(event)
