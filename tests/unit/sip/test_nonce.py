"""Nonces on a clock of our own: freshness, replay, and memory that does not grow."""

from __future__ import annotations

import pytest

from sent.sip.nonce import WINDOW, NonceBook, NonceCheck

OK, STALE, REPLAYED, FORGED = NonceCheck.OK, NonceCheck.STALE, NonceCheck.REPLAYED, NonceCheck.FORGED


def book(**options: float) -> NonceBook:
    return NonceBook(b"k" * 32, **options)  # type: ignore[arg-type]


def test_each_count_works_once() -> None:
    nonces = book()
    nonce = nonces.issue(100.0)
    assert [nonces.check(nonce, nc, 101.0) for nc in (1, 1, 2, 3, 2, 5, 4, 4)] == [
        OK,
        REPLAYED,
        OK,
        OK,
        REPLAYED,
        OK,
        OK,
        REPLAYED,
    ]


def test_counts_may_arrive_out_of_order_within_the_window() -> None:
    nonces = book()
    nonce = nonces.issue(0.0)
    assert nonces.check(nonce, WINDOW + 1, 1.0) is OK
    assert nonces.check(nonce, 2, 1.0) is OK
    assert nonces.check(nonce, 1, 1.0) is REPLAYED  # too far back to be remembered
    assert nonces.check(nonce, 0xFFFFFFFF, 1.0) is OK
    assert nonces.check(nonce, WINDOW + 2, 1.0) is REPLAYED


@pytest.mark.parametrize("nc", [0, -1])
def test_counting_begins_at_one(nc: int) -> None:
    nonces = book()
    assert nonces.check(nonces.issue(0.0), nc, 0.0) is REPLAYED


def test_without_a_count_a_nonce_works_once() -> None:
    nonces = book()
    nonce = nonces.issue(0.0)
    assert [nonces.check(nonce, None, 1.0) for _ in range(2)] == [OK, REPLAYED]


def test_age() -> None:
    nonces = book(lifetime=60.0)
    nonce = nonces.issue(1000.0)
    assert nonces.check(nonce, 1, 1060.0) is OK
    assert nonces.check(nonce, 2, 1060.1) is STALE
    assert nonces.check(nonce, 3, 999.0) is STALE


def test_only_our_own_pass() -> None:
    nonces = book()
    nonce = nonces.issue(0.0)
    assert NonceBook(b"x" * 32).check(nonce, 1, 0.0) is FORGED
    swapped = ("B" if nonce[0] == "A" else "A") + nonce[1:]
    for forged in ("", "x", swapped, nonce + "A", nonce[:-1], "é" * len(nonce), "!" * len(nonce), nonce[:-1] + "\n"):
        assert nonces.check(forged, 1, 0.0) is FORGED


def test_nonces_are_unique_within_one_instant() -> None:
    nonces = book()
    assert len({nonces.issue(5.0) for _ in range(100)}) == 100


def test_memory_is_bounded_and_forgetting_never_lets_a_replay_through() -> None:
    nonces = book(max_used=10, lifetime=1000.0)
    issued = [nonces.issue(0.0) for _ in range(30)]
    assert all(nonces.check(nonce, 1, 1.0) is OK for nonce in issued)
    answers = [nonces.check(nonce, 1, 2.0) for nonce in issued]
    assert answers == [STALE] * 20 + [REPLAYED] * 10


def test_expired_counts_make_room_first() -> None:
    nonces = book(max_used=2, lifetime=10.0)
    old = [nonces.issue(0.0) for _ in range(2)]
    assert all(nonces.check(nonce, 1, 1.0) is OK for nonce in old)
    late = nonces.issue(5.0)
    fresh = nonces.issue(20.0)
    assert nonces.check(fresh, 1, 20.0) is OK
    assert nonces.check(late, 1, 14.0) is OK
    assert nonces.check(old[0], 2, 20.0) is STALE
