"""Numbers outside: which trunks to try for a dialled number, and what an incoming number rings. Pure."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from uuid import UUID

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Plan, Refuse, Ring, Step, TrunkTarget
from sent.trunks.models import Trunk
from sent.trunks.numbers import NumberKind, OutsideNumber, classify
from sent.trunks.rules import refusal

RING_SECONDS = 120.0
"""Carriers end an unanswered call themselves; this only bounds one that never does."""

GO_ON_AFTER = frozenset({Blame.CARRIER})
"""Never after the callee spoke: failing over then would ring somebody twice who declined."""


def plan_outbound(
    dialed: str, caller: Party, trunks: Sequence[Trunk], usable: Callable[[UUID], bool], *, record: bool = False
) -> Plan | None:
    """A plan for ``dialed``, or None when it is no number outside: neither ``+`` nor a trunk's prefix and a number.

    Enabled trunks are tried by priority, those that are not ``usable`` (known to be down) last, as they may be back.
    Where every trunk closes the destination, the plan refuses with the first one's words.
    """
    routes: list[tuple[Trunk, OutsideNumber]] = []
    closed: list[tuple[Ending, OutsideNumber]] = []
    for trunk in sorted(trunks, key=lambda t: (not usable(t.id), t.priority, t.name)):
        number = _outside_number(dialed, trunk)
        if number is None or not trunk.enabled:
            continue
        if number.kind is NumberKind.INVALID and not dialed.startswith("+"):
            continue
        reason = refusal(trunk, number)
        if reason is None:
            routes.append((trunk, number))
        else:
            closed.append((reason, number))
    if routes:
        callee = _callee(routes[0][1])
        steps: tuple[Step, ...] = tuple(_ring(trunk, number, caller) for trunk, number in routes)
        return Plan(Direction.OUTBOUND, callee, steps, record)
    if closed:
        ending, number = closed[0]
        return Plan(Direction.OUTBOUND, _callee(number), (Refuse(ending),))
    if dialed.startswith("+"):
        words = "There is no trunk for calls outside. Add one: sent trunk add."
        ending = Ending(EndCode.NOT_FOUND, words, "system", Blame.US, 404)
        return Plan(Direction.OUTBOUND, Party(PartyKind.OUTSIDE, dialed), (Refuse(ending),))
    return None


def _outside_number(dialed: str, trunk: Trunk) -> OutsideNumber | None:
    if dialed.startswith("+"):
        return classify(dialed, trunk.country)
    bare = classify(dialed, trunk.country) if len(dialed) <= 6 else None
    if bare is not None and bare.kind is NumberKind.EMERGENCY:
        return bare
    if trunk.outside_prefix and dialed.startswith(trunk.outside_prefix) and len(dialed) > len(trunk.outside_prefix):
        return classify(dialed[len(trunk.outside_prefix) :], trunk.country)
    return None


def _callee(number: OutsideNumber) -> Party:
    return Party(PartyKind.OUTSIDE, number.number)


def _ring(trunk: Trunk, number: OutsideNumber, caller: Party) -> Ring:
    party = Party(PartyKind.OUTSIDE, number.number, trunk_id=trunk.id)
    # Another phone system is shown the extension, a carrier one of its own numbers.
    shown = trunk.caller_id or (caller.number if number.kind is NumberKind.PRIVATE else trunk.username)
    target = TrunkTarget(party, trunk.id, number.number, shown)
    return Ring((target,), RING_SECONDS, GO_ON_AFTER)


def refuse_unknown_number(number: str, trunk: Trunk) -> Plan:
    """An incoming call to a number that no trunk of ours has."""
    words = f"{number} is not one of the numbers of trunk {trunk.name}. Add it: sent number add TRUNK NUMBER EXTENSION."
    ending = Ending(EndCode.NOT_FOUND, words, "system", Blame.CALLER, 404)
    return Plan(Direction.INBOUND, Party(PartyKind.OUTSIDE, number), (Refuse(ending),))
