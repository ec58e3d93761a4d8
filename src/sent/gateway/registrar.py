"""Answers REGISTER (RFC 3261 §10.3): reads the request into a `Registration`, and the bindings back into a 200."""

from __future__ import annotations

from dataclasses import dataclass
from email.utils import formatdate

from sent.gateway.authentication import Caller
from sent.registrations.bindings import Binding, BindingError, ContactWish, Owner, Registration
from sent.registrations.service import Registrations
from sent.sip.errors import RemoteProtocolError
from sent.sip.flow import Flow
from sent.sip.grammar import quote
from sent.sip.message import Request
from sent.sip.uri import SipUri, equivalent, parse_uri


@dataclass(frozen=True, slots=True)
class RegisterAnswer:
    status: int
    phrase: str | None
    headers: tuple[tuple[str, str], ...]


def register(request: Request, caller: Caller, flow: Flow, registrations: Registrations) -> RegisterAnswer:
    """Carry out an authenticated REGISTER. Raises `RemoteProtocolError` for malformed header fields."""
    if _user(request.to.uri) != _user(request.from_.uri):
        return RegisterAnswer(403, "Third-Party Registration Not Allowed", ())
    try:
        bindings = registrations.register(_wish(request, caller, flow))
    except BindingError as refused:
        return RegisterAnswer(refused.status, None if refused.status == 423 else refused.message, refused.headers)
    headers = [("Contact", _contact(b, registrations.seconds_left(b))) for b in bindings]
    headers += [("Path", str(path)) for path in request.paths]
    if request.paths:
        headers.append(("Supported", "path"))
    if any(b.reg_id is not None for b in bindings) and "outbound" in request.supported:
        headers.append(("Require", "outbound"))
    headers.append(("Date", formatdate(usegmt=True)))
    return RegisterAnswer(200, None, tuple(headers))


def same_contact(a: str, b: str) -> bool:
    """RFC 3261 §19.1.4 over the text of two Contacts; what `Bindings` compares with."""
    return a == b or equivalent(parse_uri(a), parse_uri(b))


def _wish(request: Request, caller: Caller, flow: Flow) -> Registration:
    everything = request.contact_is_star
    return Registration(
        owner=Owner(caller.organization_id, caller.user_id, caller.device_id),
        call_id=request.call_id,
        cseq=request.cseq.number,
        flow=flow,
        contacts=() if everything else tuple(_contact_wish(request, n) for n in range(len(request.contacts))),
        everything=everything,
        expires=request.expires,
        path=tuple(str(path) for path in request.paths),
        user_agent=(request.headers.get("user-agent") or "")[:200],
    )


def _contact_wish(request: Request, index: int) -> ContactWish:
    contact = request.contacts[index]
    if not isinstance(contact.uri, SipUri):
        raise RemoteProtocolError("a Contact that is no SIP address")
    reg_id = contact.params.get("reg-id")
    return ContactWish(
        uri=str(contact.uri),
        expires=contact.expires,
        q=contact.q,
        instance=contact.params.get("+sip.instance"),
        reg_id=int(reg_id) if reg_id is not None and reg_id.isdecimal() and len(reg_id) < 10 else None,
    )


def _contact(binding: Binding, seconds: int) -> str:
    text = f"<{binding.contact}>;expires={seconds}"
    if binding.q != 1.0:
        text += f";q={binding.q:g}"
    if binding.instance:
        text += f";+sip.instance={quote(binding.instance)}"
    if binding.reg_id is not None:
        text += f";reg-id={binding.reg_id}"
    return text


def _user(uri: object) -> str | None:
    return uri.user if isinstance(uri, SipUri) else None
