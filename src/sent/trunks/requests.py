"""The requests that we send to a carrier outside of calls, and what its answers say. Pure."""

from __future__ import annotations

from sent.sip.authorization import Login
from sent.sip.errors import RemoteProtocolError
from sent.sip.header_extras import parse_retry_after
from sent.sip.headers import Headers
from sent.sip.host import parse_host_port
from sent.sip.message import Request, Response
from sent.sip.params import Params
from sent.sip.uri import SipUri
from sent.trunks.directory import Account
from sent.trunks.models import Trunk


def domain_uri(trunk: Trunk, user: str | None = None) -> SipUri:
    """An address at the carrier. ``domain`` may carry a port; the transport is left out, as it is our own matter."""
    host, port = parse_host_port(trunk.domain)
    return SipUri("sip", host, user, port=port)


def next_hop(trunk: Trunk) -> SipUri:
    """Where requests are sent: the proxy where one is set, else the domain; with our transport."""
    host, port = parse_host_port(trunk.proxy or trunk.domain)
    return SipUri("sip", host, port=port, params=Params((("transport", trunk.transport.lower()),)))


def login_of(account: Account) -> Login | None:
    username = account.trunk.auth_username or account.trunk.username
    return Login(username, account.password) if username and account.password is not None else None


def register_request(trunk: Trunk, call_id: str, cseq: int, contact: str, expires: int) -> Request:
    own = domain_uri(trunk, trunk.username)
    headers = Headers(
        [
            ("From", f"<{own}>"),
            ("To", f"<{own}>"),
            ("Call-ID", call_id),
            ("CSeq", f"{cseq} REGISTER"),
            ("Contact", contact),
            ("Expires", str(expires)),
        ]
    )
    return Request("REGISTER", domain_uri(trunk), headers)


def options_request(trunk: Trunk) -> Request:
    own = domain_uri(trunk, trunk.username or "ping")
    return Request("OPTIONS", domain_uri(trunk), Headers([("From", f"<{own}>"), ("Accept", "application/sdp")]))


def granted_seconds(response: Response, contact_user: str) -> int | None:
    """For how long our Contact is registered; None where the carrier does not say."""
    try:
        for contact in response.contacts:
            if isinstance(contact.uri, SipUri) and contact.uri.user == contact_user and contact.expires is not None:
                return contact.expires
        return response.expires
    except RemoteProtocolError:
        return None


def min_expires(response: Response) -> int | None:
    value = response.headers.get("min-expires") or ""
    return int(value) if value.isdecimal() and len(value) < 10 else None


def retry_after(response: Response) -> float | None:
    try:
        seconds = parse_retry_after(response.headers.get("retry-after"))
    except RemoteProtocolError:
        return None
    return float(seconds) if seconds is not None else None
