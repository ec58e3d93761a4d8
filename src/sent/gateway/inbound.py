"""Reads an INVITE from a carrier: which of our numbers it calls, and who calls. Pure.

Carriers write the called number in one of three places and the caller's in one of two. Our own Contact, which
trunks that register are called by, is no number and simply matches nothing.
"""

from __future__ import annotations

from sent.calls.party import Party, PartyKind
from sent.sip.errors import RemoteProtocolError
from sent.sip.header_values import NameAddr, parse_name_addr
from sent.sip.message import Request
from sent.sip.uri import SipUri, TelUri, Uri
from sent.trunks.models import Trunk
from sent.trunks.numbers import to_e164


def called_numbers(request: Request) -> list[str]:
    """Candidates, the most telling first: Request-URI, P-Called-Party-ID (RFC 7315 §4.2), To."""
    found = [_number(request.uri)]
    called = _parsed(request.headers.get("p-called-party-id"))
    if called is not None:
        found.append(_number(called.uri))
    found.append(_number(request.to.uri))
    return list(dict.fromkeys(number for number in found if number))


def calling_party(request: Request, trunk: Trunk) -> Party:
    """The caller as the carrier vouches for it (RFC 3325 §9.1), else as From says; withheld numbers stay withheld."""
    asserted = _parsed(request.headers.get("p-asserted-identity"))
    shown = asserted if asserted is not None and _number(asserted.uri) else request.from_
    privacy = {part.strip().lower() for part in (request.headers.get("privacy") or "").split(";")}
    number = _number(shown.uri)
    if privacy & {"id", "user", "full"} or number.lower() in {"", "anonymous", "restricted", "unavailable"}:
        return Party(PartyKind.OUTSIDE, "anonymous", "Anonymous", trunk_id=trunk.id)
    name = "".join(c for c in (shown.display or request.from_.display) if c.isprintable())[:80]
    return Party(PartyKind.OUTSIDE, to_e164(number, trunk.country) or number[:40], name, trunk_id=trunk.id)


def _number(uri: Uri) -> str:
    number = uri.digits if isinstance(uri, TelUri) else ""
    if isinstance(uri, SipUri):
        number = (uri.user or "").partition(";")[0]
    # A user part may hide any character behind a %-escape; these go into records, logs and our own requests.
    return "".join(character for character in number if character.isprintable())


def _parsed(value: str | None) -> NameAddr | None:
    if value is None:
        return None
    try:
        return parse_name_addr(value)
    except RemoteProtocolError:
        return None
