from collections import Counter

from sent.app.watching import RefusedCounter
from sent.gateway.flood import FloodGuard, Offence
from sent.infra.telemetry import Metrics
from sent.sip.flow import Flow

FLOW = Flow("UDP", ("192.0.2.1", 5060), ("192.0.2.9", 5060))


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
