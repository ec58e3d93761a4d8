"""Calls in and out of trunks for the dialplan that ``app`` puts together: inside numbers first, then these."""

from __future__ import annotations

from dataclasses import replace

from sent.calls.plan import Plan
from sent.calls.ports import CallRequest
from sent.kit.errors import NotFound
from sent.trunks.dialplan import plan_outbound, refuse_unknown_number
from sent.trunks.directory import TrunkDirectory
from sent.trunks.links import TrunkLinks
from sent.trunks.numbers import NumberKind, classify


class TrunkRouting:
    def __init__(self, directory: TrunkDirectory, links: TrunkLinks) -> None:
        self._directory = directory
        self._links = links

    def is_emergency(self, request: CallRequest) -> bool:
        """Ask this before inside numbers: nothing may stand in the way of 112."""
        if request.caller.trunk_id is not None or len(request.dialed) > 6:
            return False
        trunks = self._directory.of_organization(request.organization_id)
        countries = {trunk.country for trunk in trunks if trunk.enabled and trunk.country}
        return any(classify(request.dialed, country).kind is NumberKind.EMERGENCY for country in countries)

    def plan_outbound(self, request: CallRequest, *, record: bool = False) -> Plan | None:
        """None when what was dialled is no number outside. Carriers never dial out through us."""
        if request.caller.trunk_id is not None:
            return None
        trunks = self._directory.of_organization(request.organization_id)
        return plan_outbound(request.dialed, request.caller, trunks, self._links.usable, record=record)

    def route_inbound(self, request: CallRequest) -> CallRequest | Plan:
        """For a call from a trunk: the same request, dialling the number's extension; or a plan that refuses.

        Raises `NotFound` when the trunk was removed in the same moment.
        """
        assert request.caller.trunk_id is not None
        account = self._directory.account(request.caller.trunk_id)
        if account is None:
            raise NotFound("trunk.not_found", "The trunk that this call came from was removed.")
        for number in account.numbers:
            if number.number == request.dialed:
                return replace(request, dialed=number.extension)
        return refuse_unknown_number(request.dialed, account.trunk)
