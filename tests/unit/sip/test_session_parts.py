"""The session's table, the timers' heap, session-timer negotiation, reliable responses, dialogs and routing."""

from __future__ import annotations

import pytest

from sent.sip.dialog import Dialog
from sent.sip.errors import LocalProtocolError
from sent.sip.events import Event, TargetsNeeded
from sent.sip.flow import Flow, Target
from sent.sip.header_values import RAck
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.reliable import ReliableReceiver, ReliableSender
from sent.sip.router import Router
from sent.sip.session_state import SESSION_TABLE, SessionInput, SessionState, next_state
from sent.sip.session_timer import Agreement, IntervalTooSmall, SessionTimer, agree_as_client, agree_as_server
from sent.sip.timers import Timers
from sent.sip.uri import parse_uri


def test_the_session_table_has_these_rows_and_no_others() -> None:
    s, i = SessionState, SessionInput
    for state in s:
        for event in i:
            if (state, event) in SESSION_TABLE:
                assert next_state(state, event) is SESSION_TABLE[state, event]
            else:
                with pytest.raises(LocalProtocolError):
                    next_state(state, event)
    assert all(SESSION_TABLE[state, i.END] is s.ENDED for state in s if state is not s.ENDED)
    assert not any(state is s.ENDED for state, _ in SESSION_TABLE)
    assert {state for state, event in SESSION_TABLE if event is i.ACK} == {s.ANSWERED}


class TestTimers:
    def test_they_fire_in_order_and_once(self) -> None:
        timers, fired = Timers(), []
        for at in (3.0, 1.0, 2.0, 1.0):
            timers.arm(at, lambda now, at=at: fired.append((at, now)))  # type: ignore[misc]  # a default binds it
        assert timers.next_at() == 1.0
        assert timers.fire_due(2.5) == 3
        assert [at for at, _ in fired] == [1.0, 1.0, 2.0]
        assert timers.next_at() == 3.0

    def test_a_cancelled_timer_is_silent_and_not_counted(self) -> None:
        timers, fired = Timers(), []
        timer = timers.arm(1.0, fired.append)
        timers.cancel(timer)
        timers.cancel(timer)
        timers.cancel(None)
        assert len(timers) == 0
        assert timers.next_at() is None
        assert timers.fire_due(2.0) == 0
        assert fired == []

    def test_the_heap_stays_small_when_nearly_all_are_cancelled(self) -> None:
        timers = Timers()
        for number in range(100_000):
            timers.cancel(timers.arm(float(number), lambda _: None))
        assert len(timers._heap) < 1_100
        assert len(timers) == 0

    def test_a_callback_may_arm_what_is_due_at_once(self) -> None:
        timers, fired = Timers(), []
        timers.arm(1.0, lambda now: timers.arm(now, fired.append))
        timers.fire_due(1.0)
        assert fired == [1.0]


def invite(*fields: tuple[str, str]) -> Request:
    return Request(
        "INVITE",
        parse_uri("sip:100@example.test"),
        Headers(
            [
                ("Via", "SIP/2.0/UDP 10.0.0.1;branch=z9hG4bK1"),
                ("From", "<sip:a@example.test>;tag=a"),
                ("To", "<sip:100@example.test>"),
                ("Call-ID", "c"),
                ("CSeq", "1 INVITE"),
                *fields,
            ]
        ),
    )


class TestSessionTimerNegotiation:
    """RFC 4028 §9, table 2."""

    @pytest.mark.parametrize(
        ("fields", "agreement", "header"),
        [
            ([], Agreement(1800, True), "1800;refresher=uas"),
            ([("Min-SE", "3000")], Agreement(3000, True), "3000;refresher=uas"),
            ([("Supported", "timer"), ("Session-Expires", "600")], Agreement(600, False), "600;refresher=uac"),
            (
                [("Supported", "timer"), ("Session-Expires", "600;refresher=uas")],
                Agreement(600, True),
                "600;refresher=uas",
            ),
            ([("Supported", "timer"), ("Session-Expires", "7200")], Agreement(1800, False), "1800;refresher=uac"),
            (
                [("Supported", "timer"), ("Session-Expires", "7200"), ("Min-SE", "3600")],
                Agreement(3600, False),
                "3600;refresher=uac",
            ),
            ([("Session-Expires", "600")], Agreement(600, True), "600;refresher=uas"),
        ],
    )
    def test_as_server(self, fields: list[tuple[str, str]], agreement: Agreement, header: str) -> None:
        agreed, headers = agree_as_server(invite(*fields), 1800, 90)
        assert agreed == agreement
        assert dict(headers)["Session-Expires"] == header
        assert ("Require" in dict(headers)) == (not agreement.we_refresh)

    def test_as_server_without_any_wish_for_timers(self) -> None:
        assert agree_as_server(invite(), 0, 90) == (None, [])

    def test_too_small(self) -> None:
        with pytest.raises(IntervalTooSmall):
            agree_as_server(invite(("Session-Expires", "89")), 1800, 90)

    @pytest.mark.parametrize(
        ("value", "agreement"),
        [
            ("600;refresher=uac", Agreement(600, True)),
            ("600;refresher=uas", Agreement(600, False)),
            ("600", Agreement(600, True)),
            ("5;refresher=uac", Agreement(90, True)),
            (None, Agreement(1800, True)),
            ("broken;refresher=whoever", Agreement(1800, True)),
        ],
    )
    def test_as_client(self, value: str | None, agreement: Agreement) -> None:
        response = Response(200, "OK", Headers([("Session-Expires", value)] if value else []))
        assert agree_as_client(response, 1800) == agreement

    @pytest.mark.parametrize(("seconds", "refresh", "expiry"), [(90, 45, 60), (600, 300, 568), (1800, 900, 1768)])
    def test_alarms(self, seconds: int, refresh: float, expiry: float) -> None:
        """§10: half, and interval - min(32, interval/3)."""
        timers, seen = Timers(), []
        timer = SessionTimer(timers, lambda now: seen.append(("refresh", now)), lambda now: seen.append(("end", now)))
        timer.restart(Agreement(seconds, True), 0.0)
        while (at := timers.next_at()) is not None:
            timers.fire_due(at)
        assert seen == [("refresh", refresh), ("end", expiry)]


class TestReliableSender:
    def make(self) -> tuple[Timers, list[tuple[str | None, float]], list[float], ReliableSender]:
        timers: Timers = Timers()
        sent: list[tuple[str | None, float]] = []
        lost: list[float] = []
        sender = ReliableSender(
            timers, 7, 100, 0.5, lambda response, now: sent.append((response.headers.get("RSeq"), now)), lost.append
        )
        return timers, sent, lost, sender

    def test_one_at_a_time_in_order(self) -> None:
        _, sent, _, sender = self.make()
        assert sender.submit(Response(183), 0.0)
        assert sender.submit(Response(180), 0.0)
        assert [rseq for rseq, _ in sent] == ["100"]
        assert sender.acknowledge(RAck(101, 7, "INVITE"), 1.0) is None
        assert sender.acknowledge(RAck(100, 8, "INVITE"), 1.0) is None
        assert sender.acknowledge(RAck(100, 7, "INVITE"), 1.0) is not None
        assert [rseq for rseq, _ in sent] == ["100", "101"]
        assert sender.acknowledge(RAck(100, 7, "INVITE"), 1.0) is None, "a second PRACK for the same is 481"

    def test_it_repeats_and_gives_up_after_64_t1(self) -> None:
        timers, sent, lost, sender = self.make()
        sender.submit(Response(183), 0.0)
        while (at := timers.next_at()) is not None:
            timers.fire_due(at)
        assert [now for _, now in sent] == [0.0, 0.5, 1.5, 3.5, 7.5, 15.5, 31.5]
        assert lost == [32.0]

    def test_the_queue_is_bounded(self) -> None:
        _, _, _, sender = self.make()
        assert [sender.submit(Response(183), 0.0) for _ in range(18)] == [True] * 17 + [False]


def test_reliable_receiver_takes_each_once_and_in_order() -> None:
    receiver = ReliableReceiver()
    assert [receiver.accept(rseq) for rseq in (5, 5, 7, 6, 6, 7)] == [True, False, False, True, False, True]


FLOW = Flow("UDP", ("10.0.0.9", 5060), ("203.0.113.7", 40_000))


def dialog(contact: str, *routes: str, flow: Flow = FLOW) -> Dialog:
    request = invite(("Contact", contact), *(("Record-Route", route) for route in routes))
    return Dialog.as_server(request, "mine", flow)


class TestDialog:
    def test_requests_inside(self) -> None:
        bye = dialog("<sip:a@10.0.0.1>", "<sip:p1.test;lr>", "<sip:p2.test;lr>").request("BYE")
        assert str(bye.uri) == "sip:a@10.0.0.1"
        assert [str(route.uri) for route in bye.routes] == ["sip:p1.test;lr", "sip:p2.test;lr"]
        assert (bye.from_.tag, bye.to.tag, str(bye.cseq)) == ("mine", "a", "1 BYE")

    def test_a_client_reverses_the_route_set(self) -> None:
        response = invite().reply(200, None, "t")
        for route in ("<sip:p2.test;lr>", "<sip:p1.test;lr>"):
            response.headers.add("Record-Route", route)
        target = Target("UDP", "10.0.0.2", 5060, ("10.0.0.1", 5060))
        made = Dialog.as_client(invite(), response, target)
        assert [str(route.uri) for route in made.routes] == ["sip:p1.test;lr", "sip:p2.test;lr"]

    def test_a_strict_router_is_put_into_the_request_uri(self) -> None:
        """RFC 3261 §12.2.1.1."""
        bye = dialog("<sip:a@10.0.0.1>", "<sip:strict.test>", "<sip:p2.test;lr>").request("BYE")
        assert str(bye.uri) == "sip:strict.test"
        assert [str(route.uri) for route in bye.routes] == ["sip:p2.test;lr", "sip:a@10.0.0.1"]


class TestRouter:
    def ask(self, inside: Dialog, open_flows: set[Flow] | None = None) -> tuple[list[Target], list[Event], Router]:
        events: list[Event] = []
        found: list[Target] = []
        router = Router(events.append, open_flows or set())
        router.route(inside, lambda targets, _: found.extend(targets), 0.0)
        return found, events, router

    def test_a_public_contact_is_obeyed(self) -> None:
        found, _, _ = self.ask(dialog("<sip:a@198.51.100.5:5070>"))
        assert [(target.address, target.port, target.local) for target in found] == [
            ("198.51.100.5", 5070, ("10.0.0.9", 5060))
        ]

    def test_a_private_contact_behind_nat_is_not(self) -> None:
        found, _, _ = self.ask(dialog("<sip:a@192.168.1.5>"))
        assert [(target.remote, target.flow) for target in found] == [(FLOW.remote, FLOW)]

    def test_a_symmetric_dialog_goes_back_where_it_came_from(self) -> None:
        inside = dialog("<sip:a@198.51.100.5:5070>")
        inside.symmetric = True
        assert self.ask(inside)[0][0].flow == FLOW

    def test_a_route_comes_first(self) -> None:
        found, _, _ = self.ask(dialog("<sip:a@192.168.1.5>", "<sip:198.51.100.9;lr>"))
        assert found[0].remote == ("198.51.100.9", 5060)

    def test_an_open_connection_is_used_again(self) -> None:
        flow = Flow("TCP", ("10.0.0.9", 5060), ("198.51.100.5", 40_000), 3)
        inside = dialog("<sip:a@198.51.100.5:5070;transport=tcp>", flow=flow)
        assert self.ask(inside, {flow})[0][0].flow == flow
        gone = self.ask(inside)[0][0]
        assert (gone.flow, gone.port) == (None, 5070)

    def test_a_name_is_looked_up_once(self) -> None:
        inside = dialog("<sip:a@carrier.test>")
        found, events, router = self.ask(inside)
        assert found == []
        assert isinstance(events[0], TargetsNeeded)
        target = Target("UDP", "198.51.100.5", 5060, ("10.0.0.9", 5060))
        router.found(events[0].key, [target], 1.0)
        router.found(events[0].key, [target], 1.0)
        assert found == [target]
        assert self.ask(inside)[0] == [target]

    def test_a_name_that_cannot_be_found_falls_back_to_the_flow(self) -> None:
        found, events, router = self.ask(dialog("<sip:a@carrier.test>"))
        assert isinstance(events[0], TargetsNeeded)
        router.found(events[0].key, [], 1.0)
        assert found[0].flow == FLOW
