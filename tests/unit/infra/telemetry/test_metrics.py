import pytest

from sent.infra.telemetry import Metrics


def test_counts_appear_in_the_text_that_prometheus_reads():
    metrics = Metrics()
    metrics.calls_active.set(1)
    metrics.calls_ended.of(direction="outbound", ending="busy").inc(2)
    metrics.media_health(legs=4, sockets=8, late_p50_ms=0.5, late_p99_ms=2.0, late_max_ms=9.0)
    text = metrics.exposition().decode()
    assert "sent_calls_active 1.0" in text
    assert 'sent_calls_ended_total{direction="outbound",ending="busy"} 2.0' in text
    assert 'sent_media_late_seconds{quantile="p99"} 0.002' in text
    assert "sent_media_legs 4.0" in text
    assert "process_resident_memory_bytes" in text


def test_what_comes_from_outside_makes_no_new_series():
    metrics = Metrics()
    for n in range(1_000):
        metrics.sip_requests.of(way="received", method=f"M{n}", transport="udp").inc()
    lines = [line for line in metrics.exposition().decode().splitlines() if line.startswith("sent_sip_requests_total{")]
    assert lines == ['sent_sip_requests_total{method="other",transport="udp",way="received"} 1000.0']


def test_a_wrong_label_is_the_programmers_mistake():
    with pytest.raises(ValueError, match="direction"):
        Metrics().calls_ended.of(caller="x")


def test_every_ending_of_a_call_has_its_own_series():
    from sent.calls.ending import EndCode

    metrics = Metrics()
    for code in EndCode:
        metrics.calls_ended.of(direction="internal", ending=code).inc()
    assert 'ending="other"' not in metrics.exposition().decode()
