"""Turns a plan's targets into legs: a user into its registered devices, a trunk into its carrier."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from sent.calls.ending import Blame, EndCode, Ending
from sent.calls.party import Party
from sent.calls.plan import RingTarget, TrunkTarget, UserTarget
from sent.calls.ports import CallRefused, LegEnded, LegPort
from sent.gateway.endings import Side
from sent.gateway.sip_leg import Line
from sent.gateway.sip_leg_outgoing import Destination, OutgoingSipLeg
from sent.kit.errors import SentError
from sent.registrations.bindings import Binding
from sent.registrations.service import Registrations
from sent.sdp.capabilities import Encryption
from sent.sip.flow import Target
from sent.sip.header_values import NameAddr
from sent.sip.uri import SipUri, parse_uri
from sent.trunks.directory import Account, TrunkDirectory
from sent.trunks.health import Sign
from sent.trunks.limits import TrunkUsage
from sent.trunks.links import TrunkLinks
from sent.trunks.models import SrtpPolicy, Trunk
from sent.trunks.numbers import NumberKind, classify
from sent.trunks.requests import domain_uri, login_of, next_hop
from sent.trunks.rules import caller_identity, refusal

MAX_PHONES = 10
"""Of one user, rung at once."""

_ENCRYPTION = {
    SrtpPolicy.OFF: (Encryption.NEVER,),
    SrtpPolicy.OFFERED: (Encryption.OPTIONAL, Encryption.NEVER),
    SrtpPolicy.REQUIRED: (Encryption.REQUIRED,),
}

MAX_FORWARDS = 70
"""RFC 3261 §8.1.1.6. A caller that claims more gets no more."""

Headers = tuple[tuple[str, str], ...]
Identity = tuple[NameAddr, tuple[tuple[str, str], ...]]


class SipTargets:
    """`calls.ports.TargetPort` over SIP."""

    def __init__(
        self,
        line: Line,
        registrations: Registrations,
        directory: TrunkDirectory,
        links: TrunkLinks,
        usage: TrunkUsage,
    ) -> None:
        self._line = line
        self._registrations = registrations
        self._directory = directory
        self._links = links
        self._usage = usage

    async def legs_for(self, target: RingTarget, call_id: UUID, organization_id: UUID) -> Sequence[LegPort]:
        match target:
            case UserTarget():
                return await self._phones(target, self._hops(call_id))
            case TrunkTarget():
                return [await self._carrier(target, organization_id, self._hops(call_id))]

    def _hops(self, call_id: UUID) -> Headers:
        left = self._line.hops.get(call_id)
        return (("Max-Forwards", str(min(left, MAX_FORWARDS))),) if left is not None else ()

    async def _phones(self, target: UserTarget, hops: Headers) -> list[LegPort]:
        bindings = self._registrations.of_user(target.user_id)[:MAX_PHONES]
        name = target.party.name or target.party.number
        legs: list[LegPort] = []
        for binding in bindings:
            uri = parse_uri(binding.contact)
            targets = await self._targets_of(binding, uri) if isinstance(uri, SipUri) else ()
            if targets:
                party = _with_device(target.party, binding)
                legs.append(OutgoingSipLeg(self._line, party, Side(name), self._phone(binding, targets, party, hops)))
        if not legs:
            words = f"{name}'s phone is not connected." if not bindings else f"{name}'s phone cannot be reached."
            raise CallRefused(Ending(EndCode.OFFLINE, words, "system", Blame.CALLEE, 480))
        return legs

    async def _targets_of(self, binding: Binding, uri: SipUri) -> tuple[Target, ...]:
        """Over the flow that it registered by: a phone behind NAT has no other way. Else where its Contact points."""
        if binding.flow is not None:
            address, port = binding.source
            return (Target(binding.transport, address, port, binding.local, flow=binding.flow),)
        try:
            return tuple(await self._line.port.resolve(uri))
        except SentError:
            return ()

    def _phone(self, binding: Binding, targets: tuple[Target, ...], party: Party, hops: Headers) -> Destination:
        # A phone on TLS is asked for SRTP first, then best effort: many have it switched off.
        secure = (Encryption.REQUIRED, Encryption.OPTIONAL)
        return Destination(
            uri=parse_uri(binding.contact),
            targets=targets,
            identity=self._inside_identity,
            encryptions=secure if binding.transport == "TLS" else (Encryption.NEVER,),
            headers=(*hops, *(("Route", path) for path in binding.path)),
            to=NameAddr(SipUri("sip", self._line.host, party.number), party.name),
        )

    def _inside_identity(self, caller: Party) -> Identity:
        return NameAddr(SipUri("sip", self._line.host, caller.number or "anonymous"), caller.name), ()

    async def _carrier(self, target: TrunkTarget, organization_id: UUID, hops: Headers) -> LegPort:
        account = self._directory.account(target.trunk_id)
        if account is None or account.trunk.organization_id != organization_id or not account.trunk.enabled:
            words = "The trunk for this call was removed or switched off."
            raise CallRefused(Ending(EndCode.CARRIER_UNREACHABLE, words, "system", Blame.CARRIER, 503))
        trunk = account.trunk
        number = classify(target.number, trunk.country)
        closed = refusal(trunk, number)
        if closed is not None:
            raise CallRefused(closed)
        try:
            targets = tuple(await self._line.port.resolve(next_hop(trunk)))
        except SentError as error:
            self._links.called(trunk.id, Sign.FAILED, error.message)
            words = f"Carrier {trunk.name} cannot be found: {error.message}"
            raise CallRefused(Ending(EndCode.CARRIER_UNREACHABLE, words, "carrier", Blame.CARRIER, 503)) from error
        if not targets:
            words = f"Carrier {trunk.name} has no address that can be reached from here."
            raise CallRefused(Ending(EndCode.CARRIER_UNREACHABLE, words, "carrier", Blame.CARRIER, 503))
        leg = OutgoingSipLeg(
            self._line, target.party, Side(trunk.name, is_carrier=True), _to_carrier(account, target, targets, hops)
        )
        emergency = number.kind is NumberKind.EMERGENCY
        full = self._usage.start(trunk, leg.leg_id, self._line.clock(), emergency=emergency)
        if full is not None:
            raise CallRefused(full)
        leg.when_over(lambda ended: self._carrier_leg_over(trunk, ended))
        return leg

    def _carrier_leg_over(self, trunk: Trunk, ended: LegEnded) -> None:
        self._usage.finish(trunk.id, ended.leg_id)
        ending = ended.ending
        if ending.code is EndCode.CARRIER_UNREACHABLE:
            self._links.called(trunk.id, Sign.FAILED, ending.words)
        elif ending.by in {"carrier", "callee"}:
            self._links.called(trunk.id, Sign.ANSWERED, ending.words)


def _with_device(party: Party, binding: Binding) -> Party:
    return Party(party.kind, party.number, party.name, party.user_id, binding.owner.device_id)


def _to_carrier(account: Account, target: TrunkTarget, targets: tuple[Target, ...], hops: Headers) -> Destination:
    trunk = account.trunk
    shown = caller_identity(trunk, target.caller_id)

    def identity(caller: Party) -> Identity:
        headers: list[tuple[str, str]] = []
        if shown.asserted is not None:
            headers.append(("P-Asserted-Identity", f"<{domain_uri(trunk, shown.asserted)}>"))
        if shown.anonymous:
            headers.append(("Privacy", "id"))
            return NameAddr(SipUri("sip", "anonymous.invalid", "anonymous"), "Anonymous"), tuple(headers)
        return NameAddr(domain_uri(trunk, shown.from_user), caller.name), tuple(headers)

    return Destination(
        uri=domain_uri(trunk, target.number),
        targets=targets,
        identity=identity,
        encryptions=_ENCRYPTION[trunk.srtp],
        headers=hops,
        login=login_of(account),
        symmetric=False,
    )
