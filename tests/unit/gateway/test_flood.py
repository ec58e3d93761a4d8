from __future__ import annotations

from sent.gateway.flood import (
    FREE_REPEATS,
    MAX_REMEMBERED,
    FloodGuard,
    FloodLimits,
    Offence,
    is_scanner,
    source_key,
)
from sent.sip.flow import Flow


def flow(address: str = "203.0.113.9", port: int = 5060) -> Flow:
    return Flow("UDP", ("192.0.2.1", 5060), (address, port))


def exhaust(guard: FloodGuard, now: float, source: Flow | None = None) -> int:
    for n in range(10_000):
        if not guard.admit(source or flow(), now):
            return n
        guard.offended(source or flow(), Offence.UNAUTHENTICATED, now)
    raise AssertionError("never banned")


def test_a_burst_is_let_through_and_what_follows_is_dropped():
    guard = FloodGuard()
    assert exhaust(guard, 0.0) == 61
    assert guard.counters["bans"] == 1
    assert not guard.admit(flow(), 9.9)
    assert guard.admit(flow(), 10.0)


def test_a_flood_from_one_address_does_not_touch_another():
    guard = FloodGuard()
    exhaust(guard, 0.0)
    assert guard.admit(flow("203.0.113.10"), 0.0)


def test_tokens_come_back_with_time():
    guard = FloodGuard()
    for second in range(600):
        for _ in range(5):
            assert guard.admit(flow(), float(second))
            guard.offended(flow(), Offence.UNAUTHENTICATED, float(second))
    assert guard.counters["bans"] == 0


def test_bans_double_up_to_an_hour_and_are_forgotten_after_a_quiet_hour():
    guard, now, lengths = FloodGuard(), 0.0, []
    for _ in range(11):
        exhaust(guard, now)
        start = now
        while not guard.admit(flow(), now):
            now += 10.0
        lengths.append(now - start)
    assert lengths == [10, 20, 40, 80, 160, 320, 640, 1280, 2560, 3600, 3600]
    now += 3601.0
    exhaust(guard, now)
    assert guard.admit(flow(), now + 10.0)


def test_an_office_of_500_phones_behind_one_address_comes_back_at_once():
    guard = FloodGuard()
    for port in range(500):
        phone = flow(port=10_000 + port)
        assert guard.admit(phone, 0.0)
        guard.offended(phone, Offence.UNAUTHENTICATED, 0.0)
        guard.authenticated(phone, 0.0)
    assert guard.counters["bans"] == 0


def test_and_comes_back_at_once_after_a_power_cut_though_no_port_is_the_same():
    guard = FloodGuard()
    for port in range(500):
        guard.offended(flow(port=10_000 + port), Offence.UNAUTHENTICATED, port / 10)
        guard.authenticated(flow(port=10_000 + port), port / 10)
    for port in range(500):
        assert guard.admit(flow(port=20_000 + port), 9_000.0)
        guard.offended(flow(port=20_000 + port), Offence.UNAUTHENTICATED, 9_000.0)
    assert guard.counters["bans"] == 0


def test_a_trusted_flow_outlives_the_ban_of_its_address():
    guard = FloodGuard()
    guard.authenticated(flow(port=4444), 0.0)
    exhaust(guard, 0.0, flow(port=5555))
    assert guard.admit(flow(port=4444), 1.0)
    assert not guard.admit(flow(port=5555), 1.0)
    assert not guard.is_trusted(flow(port=4444), 7201.0)


def test_wrong_passwords_cost_even_trusted_flows():
    guard = FloodGuard()
    guard.authenticated(flow(), 0.0)
    for _ in range(16):
        guard.offended(flow(), Offence.WRONG_PASSWORD, 0.0)
    assert guard.counters == {**guard.counters, "bans": 1, "wrong_password": 16}


def test_scanners_are_banned_within_a_few_messages():
    guard = FloodGuard()
    for _ in range(4):
        guard.offended(flow(), Offence.SCANNER, 0.0)
    assert not guard.admit(flow(), 0.0)
    assert is_scanner("friendly-scanner")
    assert is_scanner("SIPVicious/0.3")
    assert not is_scanner("Linphone/5.2")


def test_memory_is_bounded_whatever_comes():
    guard = FloodGuard(FloodLimits(sources=100, trusted=50))
    for n in range(5_000):
        source = flow(f"10.{n >> 8 & 255}.{n & 255}.1")
        guard.offended(source, Offence.MALFORMED, 0.0)
        guard.authenticated(source, 0.0)
    assert len(guard) == 100


def test_sources_are_counted_per_ipv4_address_and_per_ipv6_64():
    assert source_key("2001:db8:1:2:aaaa::1") == source_key("2001:db8:1:2:bbbb::9")
    assert source_key("2001:db8:1:3::1") != source_key("2001:db8:1:2::1")
    assert source_key("::ffff:192.0.2.5") == source_key("192.0.2.5")
    assert source_key("fe80::1%eth0") == source_key("fe80::2")


def test_what_a_client_repeats_counts_once_and_what_a_flood_repeats_counts_each_time():
    guard = FloodGuard()
    for _ in range(FREE_REPEATS):
        guard.offended(flow(), Offence.UNAUTHENTICATED, 0.0, branch="z9hG4bK1")
    assert guard.counters["unauthenticated"] == 1
    guard.offended(flow(), Offence.WRONG_PASSWORD, 0.0, branch="z9hG4bK1")
    assert guard.counters["wrong_password"] == 1, "another offence is another matter"
    for _ in range(100):
        guard.offended(flow(), Offence.UNAUTHENTICATED, 0.0, branch="z9hG4bK1")
    assert guard.counters["bans"] == 1


def test_remembering_requests_is_bounded():
    guard = FloodGuard()
    for n in range(MAX_REMEMBERED + 500):
        guard.offended(flow(), Offence.UNAUTHENTICATED, float(n), branch=str(n))
    assert len(guard._repeats) == MAX_REMEMBERED
