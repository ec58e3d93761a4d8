"""What may go through a trunk, and how the caller is shown there. Pure decisions."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable
from dataclasses import dataclass

from sent.calls.ending import Blame, EndCode, Ending
from sent.trunks.models import CallerIdHeader, Trunk
from sent.trunks.numbers import NumberKind, OutsideNumber


def refusal(trunk: Trunk, number: OutsideNumber) -> Ending | None:
    """Why this destination is closed on this trunk, or None when it is open. Emergency numbers always are."""
    kind, limits = number.kind, trunk.limits
    if kind in {NumberKind.EMERGENCY, NumberKind.NATIONAL, NumberKind.PRIVATE}:
        return None
    if kind is NumberKind.INVALID:
        return _refused(EndCode.NOT_FOUND, f"{number.number} is not a telephone number.", 404)
    if kind in {NumberKind.PREMIUM, NumberKind.SHORT} and not limits.premium:
        return _refused(EndCode.NOT_ALLOWED, f"Premium and service numbers are closed on trunk {trunk.name}.", 403)
    if number.country == trunk.country or "*" in limits.countries or number.country in limits.countries:
        return None
    where = f" to {number.country}" if number.country else ""
    return _refused(EndCode.NOT_ALLOWED, f"International calls{where} are closed on trunk {trunk.name}.", 403)


def _refused(code: EndCode, words: str, status: int) -> Ending:
    return Ending(code, words, "system", Blame.CALLER, status)


@dataclass(frozen=True, slots=True)
class CallerIdentity:
    """How an outgoing INVITE names the caller: the user parts of From and, where wanted, P-Asserted-Identity."""

    from_user: str
    asserted: str | None
    anonymous: bool


def caller_identity(trunk: Trunk, caller_id: str | None) -> CallerIdentity:
    """``caller_id`` None hides the number: From is anonymous (RFC 3323 §4.1.1.3), the account still identifies us."""
    account = trunk.username or trunk.caller_id or "anonymous"
    if caller_id is None:
        return CallerIdentity("anonymous", account if trunk.caller_id_header is CallerIdHeader.ASSERTED else None, True)
    if trunk.caller_id_header is CallerIdHeader.ASSERTED:
        return CallerIdentity(account, caller_id, False)
    return CallerIdentity(caller_id, None, False)


def comes_from(sources: Iterable[str], address: str) -> bool:
    """Whether ``address`` is one of these addresses or in one of these networks. Host names never match."""
    try:
        asked = ipaddress.ip_address(address.partition("%")[0])
    except ValueError:
        return False
    if isinstance(asked, ipaddress.IPv6Address) and asked.ipv4_mapped is not None:
        asked = asked.ipv4_mapped
    for source in sources:
        try:
            network = ipaddress.ip_network(source, strict=False)
        except ValueError:
            continue
        if asked.version == network.version and asked in network:
            return True
    return False
