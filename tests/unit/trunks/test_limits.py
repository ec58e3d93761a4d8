from __future__ import annotations

from uuid import UUID

from tests.unit.trunks.trunk_factory import trunk

from sent.calls.ending import EndCode
from sent.trunks.limits import TrunkUsage
from sent.trunks.models import TrunkLimits


def leg(n: int) -> UUID:
    return UUID(int=n)


def test_lines_are_freed_by_finish_and_only_once():
    usage, two_lines = TrunkUsage(), trunk(limits=TrunkLimits(concurrent_calls=2))
    assert usage.start(two_lines, leg(1), 0.0) is None
    assert usage.start(two_lines, leg(2), 0.0) is None
    full = usage.start(two_lines, leg(3), 0.0)
    assert full is not None
    assert (full.code, full.words) == (EndCode.LIMIT_REACHED, "All 2 lines of trunk Nordnet are in use.")
    usage.finish(two_lines.id, leg(1))
    usage.finish(two_lines.id, leg(1))
    assert usage.running(two_lines.id) == 1
    assert usage.start(two_lines, leg(3), 0.0) is None
    assert usage.start(two_lines, leg(4), 0.0) is not None


def test_the_minute_slides_and_the_day_resets():
    usage = TrunkUsage()
    slow = trunk(limits=TrunkLimits(calls_per_minute=2, calls_per_day=3))
    for n, at in enumerate((0.0, 30.0)):
        assert usage.start(slow, leg(n), at) is None
    full = usage.start(slow, leg(9), 59.0)
    assert full is not None
    assert "of this minute" in full.words
    assert usage.start(slow, leg(3), 60.0) is None
    day = usage.start(slow, leg(4), 300.0)
    assert day is not None
    assert "of this day" in day.words
    assert usage.start(slow, leg(5), 86_400.0) is None


def test_emergency_calls_pass_every_limit():
    usage, no_lines = TrunkUsage(), trunk(limits=TrunkLimits(concurrent_calls=0))
    assert usage.start(no_lines, leg(1), 0.0) is not None
    assert usage.start(no_lines, leg(2), 0.0, emergency=True) is None
    assert usage.running(no_lines.id) == 1
