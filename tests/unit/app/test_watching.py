import asyncio
import contextlib
from collections import Counter
from types import SimpleNamespace
from uuid import UUID

from sent.app.watching import SAMPLE_SECONDS, CountedCalls, RefusedCounter, count_message, sample
from sent.calls.ending import EndCode
from sent.calls.party import Direction
from sent.gateway.flood import FloodGuard, Offence
from sent.infra.telemetry import Metrics
from sent.sip.config import Trace
from sent.sip.flow import Flow
from sent.sip.headers import Headers
from sent.sip.message import Request, Response
from sent.sip.uri import SipUri
from sent.testing.clock import run_virtual
from sent.testing.engine import FakeEngine

FLOW = Flow("TLS", ("10.0.0.1", 5061), ("10.0.0.2", 40_000))


def _value(metrics: Metrics, name: str, **labels: str) -> float | None:
    return metrics.registry.get_sample_value(name, labels)


def _request(method: str) -> Request:
    return Request(method, SipUri("sip", "10.0.0.1"), Headers())


def test_messages_count_by_way_method_and_transport():
    metrics = Metrics()
    for direction in ("in", "in", "out"):
        count_message(metrics, Trace(direction, FLOW, _request("INVITE"), 0.0))
    labels = {"method": "INVITE", "transport": "tls"}
    assert _value(metrics, "sent_sip_requests_total", way="received", **labels) == 2
    assert _value(metrics, "sent_sip_requests_total", way="sent", **labels) == 1


def test_what_a_stranger_calls_a_method_makes_no_series():
    metrics = Metrics()
    before = metrics.exposition().count(b"\n")
    for n in range(50):
        count_message(metrics, Trace("in", FLOW, _request(f"EVIL{n}"), 0.0))
    assert metrics.exposition().count(b"\n") == before


def test_every_method_that_phones_use_is_counted():
    metrics = Metrics()
    for method in ("REGISTER", "SUBSCRIBE", "NOTIFY", "REFER", "MESSAGE", "PUBLISH", "PRACK", "UPDATE", "ACK", "BYE"):
        count_message(metrics, Trace("in", FLOW, _request(method), 0.0))
        labels = {"way": "received", "method": method, "transport": "tls"}
        assert _value(metrics, "sent_sip_requests_total", **labels) == 1, method


def test_responses_count_by_class():
    metrics = Metrics()
    for status in (401, 486, 200):
        count_message(metrics, Trace("out", FLOW, Response(status, "", Headers()), 0.0))
    assert _value(metrics, "sent_sip_responses_total", way="sent", status="4xx") == 2
    assert _value(metrics, "sent_sip_responses_total", way="sent", status="2xx") == 1


def test_calls_count_when_they_end_by_why():
    metrics = Metrics()
    calls = CountedCalls(metrics)
    calls.ended(EndCode.BUSY, Direction.OUTBOUND, 0.0)
    calls.ended(EndCode.HUNG_UP, None, 12.5)
    calls.ignored(3)
    assert _value(metrics, "sent_calls_ended_total", direction="outbound", ending="busy") == 1
    assert _value(metrics, "sent_calls_ended_total", direction="internal", ending="hung_up") == 1
    assert _value(metrics, "sent_leg_events_ignored_total") == 3


def test_what_is_looked_at_is_looked_at_again():
    up, down = UUID(int=1), UUID(int=2)
    accounts = [SimpleNamespace(trunk=SimpleNamespace(id=one)) for one in (up, down)]
    directory = SimpleNamespace(accounts=lambda: accounts)
    links = SimpleNamespace(up=lambda trunk: trunk == up)
    metrics, calls = Metrics(), ["a call"]
    refused = RefusedCounter(metrics, agent := Counter(malformed=1), {})

    async def main():
        engine = FakeEngine()
        engine.open_rtp("127.0.0.1")
        looking = asyncio.create_task(sample(metrics, engine, calls, ["a", "b"], directory, links, refused))
        await asyncio.sleep(SAMPLE_SECONDS / 2)
        assert _value(metrics, "sent_calls_active") == 1
        assert _value(metrics, "sent_registrations_active") == 2
        assert _value(metrics, "sent_trunks_up") == 1
        assert (_value(metrics, "sent_media_legs"), _value(metrics, "sent_media_sockets")) == (1, 2)
        assert _value(metrics, "sent_sip_dropped_total", why="malformed") == 1
        calls.clear()
        agent["malformed"] = 5
        await asyncio.sleep(SAMPLE_SECONDS)
        assert _value(metrics, "sent_calls_active") == 0
        assert _value(metrics, "sent_sip_dropped_total", why="malformed") == 5
        looking.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await looking

    run_virtual(main())


def samples(metrics: Metrics) -> dict[str, float]:
    lines = metrics.exposition().decode().splitlines()
    return {name: float(value) for name, value in (line.rsplit(" ", 1) for line in lines if not line.startswith("#"))}


def test_what_was_refused_is_counted_once_by_its_reason():
    metrics, agent, flood = Metrics(), Counter(), FloodGuard()
    refused = RefusedCounter(metrics, agent, flood.counters)
    agent.update(malformed=3, acks_unmatched=1, dialogs_unknown=2)
    flood.offended(FLOW, Offence.WRONG_PASSWORD, 0.0)
    refused.take()
    agent.update(malformed=1)
    refused.take()
    seen = samples(metrics)
    assert seen['sent_sip_dropped_total{why="malformed"}'] == 4
    assert seen['sent_sip_dropped_total{why="no_transaction"}'] == 3
    assert seen['sent_sip_offences_total{what="wrong_password"}'] == 1


def test_a_ban_and_what_it_drops_are_counted():
    metrics, flood = Metrics(), FloodGuard()
    refused = RefusedCounter(metrics, Counter(), flood.counters)
    while not flood.banned(0.0):
        flood.offended(FLOW, Offence.SCANNER, 0.0)
    assert not flood.admit(FLOW, 1.0)
    refused.take()
    seen = samples(metrics)
    assert seen["sent_sip_bans_total"] == 1
    assert seen['sent_sip_dropped_total{why="banned"}'] == 1
