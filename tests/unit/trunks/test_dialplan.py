from __future__ import annotations

from uuid import UUID

from tests.unit.trunks.trunk_factory import trunk

from sent.calls.ending import Blame
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Refuse, Ring, TrunkTarget
from sent.trunks.dialplan import plan_outbound
from sent.trunks.models import TrunkLimits

ALICE = Party(PartyKind.USER, "101", "Alice")
BACKUP = trunk(id=UUID(int=101), name="Backup", priority=2, outside_prefix="9", caller_id="+493099999999")


def up(_: UUID) -> bool:
    return True


def trunks_tried(dialed: str, *trunks, usable=up) -> list[str]:
    plan = plan_outbound(dialed, ALICE, trunks, usable)
    assert plan is not None
    targets = [step.targets[0] for step in plan.steps if isinstance(step, Ring)]
    return [f"{t.number} by {t.trunk_id.int} as {t.caller_id}" for t in targets if isinstance(t, TrunkTarget)]


def test_the_prefix_is_stripped_and_trunks_follow_by_priority():
    assert trunks_tried("903023125000", BACKUP, trunk()) == [
        "+493023125000 by 100 as +493023125000",
        "+493023125000 by 101 as +493099999999",
    ]


def test_a_trunk_that_is_down_is_tried_last_but_tried():
    tried = trunks_tried("+493023125000", trunk(), BACKUP, usable=lambda id_: id_.int != 100)
    assert [t.split()[2] for t in tried] == ["101", "100"]


def test_only_the_carriers_failure_goes_on_to_the_next():
    plan = plan_outbound("+493023125000", ALICE, [trunk(), BACKUP], up)
    assert plan is not None
    assert plan.direction is Direction.OUTBOUND
    assert plan.callee.number == "+493023125000"
    assert [step.go_on_after for step in plan.steps if isinstance(step, Ring)] == [frozenset({Blame.CARRIER})] * 2


def test_a_closed_destination_is_refused_with_words_unless_another_trunk_opens_it():
    plan = plan_outbound("900442079460000", ALICE, [trunk()], up)
    assert plan is not None
    (step,) = plan.steps
    assert isinstance(step, Refuse)
    assert step.ending.words == "International calls to GB are closed on trunk Nordnet."
    opened = trunk(id=UUID(int=102), limits=TrunkLimits(countries=("GB",)))
    assert [t.split()[2] for t in trunks_tried("+442079460000", trunk(), opened)] == ["102"]


def test_extensions_are_none_of_our_business():
    assert plan_outbound("102", ALICE, [trunk()], up) is None
    assert plan_outbound("9", ALICE, [trunk()], up) is None
    assert plan_outbound("999", ALICE, [trunk()], up) is None
    assert plan_outbound("alice", ALICE, [trunk()], up) is None


def test_emergency_numbers_need_no_prefix_and_take_one():
    assert trunks_tried("112", trunk()) == ["112 by 100 as +493023125000"]
    assert trunks_tried("9112", trunk()) == ["112 by 100 as +493023125000"]


def test_a_number_outside_without_a_trunk_says_what_to_do():
    plan = plan_outbound("+493023125000", ALICE, [trunk(enabled=False)], up)
    assert plan is not None
    (step,) = plan.steps
    assert isinstance(step, Refuse)
    assert "sent trunk add" in step.ending.words


def test_another_phone_system_gets_digits_as_dialled_and_sees_the_extension():
    line = trunk(country="", caller_id=None)
    assert trunks_tried("9200", line) == ["200 by 100 as 101"]


def test_without_a_number_of_our_own_the_account_is_shown():
    assert trunks_tried("+493023125000", trunk(caller_id=None)) == ["+493023125000 by 100 as 4930555"]
