from dataclasses import replace
from uuid import UUID

import pytest

from sent.app.dialplan import Dialplan, UserExtensions
from sent.calls.ending import EndCode
from sent.calls.party import Direction, Party, PartyKind
from sent.calls.plan import Echo, Plan, Refuse
from sent.calls.ports import CallRequest
from sent.pbx.models import Extension, ExtensionKind, PbxSettings, RoutingSnapshot

ORGANIZATION, ALICE, BOB, TRUNK = UUID(int=1), UUID(int=2), UUID(int=3), UUID(int=4)
OUTSIDE = Plan(Direction.OUTBOUND, Party(PartyKind.OUTSIDE, "+12025550100"), (Echo(),))


def _user(number: str, user: UUID) -> Extension:
    return Extension(UUID(int=int(number)), number, ExtensionKind.USER, "", user, None)


class Pbx:
    def __init__(self, settings: PbxSettings | None = None) -> None:
        self.extensions = {"101": _user("101", ALICE), "102": _user("102", BOB), "112": _user("112", BOB)}
        self.settings = settings or PbxSettings()

    async def plan(self, request: CallRequest) -> Plan | None:
        found = self.extensions.get(request.dialed)
        return None if found is None else Plan(Direction.INTERNAL, Party(PartyKind.USER, found.number), ())

    async def routing(self, organization_id: UUID) -> RoutingSnapshot:
        assert organization_id == ORGANIZATION
        return RoutingSnapshot(self.extensions, self.settings)


class Trunks:
    """One number, +12025550190, that rings 101; outside is what begins with 9; 112 is for emergencies."""

    def __init__(self, *, reachable: bool = True) -> None:
        self.reachable = reachable
        self.recorded: bool | None = None

    def is_emergency(self, request: CallRequest) -> bool:
        return request.caller.trunk_id is None and request.dialed == "112"

    def plan_outbound(self, request: CallRequest, *, record: bool = False) -> Plan | None:
        self.recorded = record
        emergency = request.dialed == "112"
        goes_out = request.caller.trunk_id is None and (emergency or request.dialed.startswith("9"))
        return OUTSIDE if goes_out and self.reachable else None

    def route_inbound(self, request: CallRequest) -> CallRequest | Plan:
        if request.dialed == "+12025550190":
            return replace(request, dialed="101")
        return Plan(Direction.INBOUND, Party(PartyKind.SERVICE, request.dialed), (Refuse,))


def _request(dialed: str, *, trunk: UUID | None = None) -> CallRequest:
    kind = PartyKind.USER if trunk is None else PartyKind.OUTSIDE
    return CallRequest(ORGANIZATION, Party(kind, "102", trunk_id=trunk), dialed, leg=None)


async def test_an_inside_number_is_the_pbxs():
    assert (await Dialplan(Pbx(), Trunks()).plan(_request("101"))).callee.number == "101"


async def test_what_is_no_inside_number_goes_outside_recorded_as_the_organization_wants():
    trunks = Trunks()
    for record in (False, True):
        assert await Dialplan(Pbx(PbxSettings(record_outside=record)), trunks).plan(_request("912025550100")) is OUTSIDE
        assert trunks.recorded is record


async def test_an_emergency_number_goes_out_even_where_an_extension_has_it():
    assert await Dialplan(Pbx(), Trunks()).plan(_request("112")) is OUTSIDE


async def test_without_a_carrier_for_it_the_extension_answers_for_the_emergency_number():
    assert (await Dialplan(Pbx(), Trunks(reachable=False)).plan(_request("112"))).callee.number == "112"


async def test_a_call_from_a_carrier_rings_what_its_number_is_for():
    assert (await Dialplan(Pbx(), Trunks()).plan(_request("+12025550190", trunk=TRUNK))).callee.number == "101"


async def test_a_carriers_unknown_number_is_refused_by_the_trunk_and_never_leads_out_again():
    plan = await Dialplan(Pbx(), Trunks()).plan(_request("912025550100", trunk=TRUNK))
    assert plan.direction is Direction.INBOUND
    assert plan is not OUTSIDE


@pytest.mark.parametrize("dialed", ["777", "", "x" * 500])
async def test_what_nobody_knows_is_not_found_in_words(dialed):
    plan = await Dialplan(Pbx(), Trunks()).plan(_request(dialed))
    (step,) = plan.steps
    assert isinstance(step, Refuse)
    assert (step.ending.code, step.ending.sip_status) == (EndCode.NOT_FOUND, 404)
    assert len(step.ending.words) < 200


async def test_the_extensions_of_a_user_are_those_that_ring_that_user():
    extensions = UserExtensions(Pbx())
    assert await extensions.extensions_of(ORGANIZATION, BOB) == ["102", "112"]
    assert await extensions.extensions_of(ORGANIZATION, UUID(int=9)) == []
