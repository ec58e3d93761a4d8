"""The order in which features are asked where a call goes: emergency numbers, inside numbers, numbers outside."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sent.calls.party import Direction
from sent.calls.plan import Plan
from sent.calls.ports import CallRequest
from sent.pbx.rules import not_found
from sent.pbx.service import PbxService
from sent.trunks.routing import TrunkRouting


class Dialplan:
    """`calls.ports.DialplanPort`."""

    def __init__(self, pbx: PbxService, trunks: TrunkRouting) -> None:
        self._pbx = pbx
        self._trunks = trunks

    async def plan(self, request: CallRequest) -> Plan:
        if self._trunks.is_emergency(request):
            plan = self._trunks.plan_outbound(request)
            if plan is not None:
                return plan
        from_carrier = request.caller.trunk_id is not None
        if from_carrier:
            routed = self._trunks.route_inbound(request)
            if isinstance(routed, Plan):
                return routed
            request = routed
        inside = await self._pbx.plan(request)
        if inside is not None:
            return inside
        routing = await self._pbx.routing(request.organization_id)
        outside = self._trunks.plan_outbound(request, record=routing.settings.record_outside)
        return outside or not_found(request.dialed, Direction.INBOUND if from_carrier else Direction.INTERNAL)


class UserExtensions:
    """`gateway.authentication.ExtensionPort` over the same snapshot that calls are routed by."""

    def __init__(self, pbx: PbxService) -> None:
        self._pbx = pbx

    async def extensions_of(self, organization_id: UUID, user_id: UUID) -> Sequence[str]:
        routing = await self._pbx.routing(organization_id)
        return sorted(e.number for e in routing.extensions.values() if e.user_id == user_id)
