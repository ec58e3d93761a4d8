"""Nobody calls unasked: who sent a request outside of a dialog, or how to ask.

    digest     401 to REGISTER, 407 to everything else (RFC 3261 §22), one algorithm per device
    address    a carrier, by the address that it calls from or by the Contact that only it was told (`trunk_links`)
    session    the signed-in session of a WebSocket; the place is `Caller`, nothing makes one of these yet

An unknown user name is treated exactly like a wrong password, down to the digest that is computed for it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from sent.gateway.flood import FloodGuard, Offence, is_scanner
from sent.identity.models import DeviceCredential, DigestAlgorithm
from sent.kit.errors import SentError
from sent.sip.digest import Challenge, Credentials, find_credentials, verify
from sent.sip.errors import RemoteProtocolError
from sent.sip.flow import Flow
from sent.sip.message import Request
from sent.sip.nonce import NonceBook, NonceCheck
from sent.sip.uri import SipUri, TelUri, Uri, parse_uri

_NO_SECRET = "0" * 32
"""Stands for the secret of a user that does not exist; no password hashes to it."""


class CredentialPort(Protocol):
    """`sent.identity.credentials.DeviceCredentials` is one."""

    async def find(self, sip_username: str) -> DeviceCredential | None:
        """Raises `Unavailable` or `LimitReached` while the answer cannot be known."""


class ExtensionPort(Protocol):
    async def extensions_of(self, organization_id: UUID, user_id: UUID) -> Sequence[str]:
        """The numbers that ring this user, the one to show first. May be empty."""


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated device. ``number`` is what it may show: one of its extensions, else its SIP user name."""

    organization_id: UUID
    user_id: UUID
    device_id: UUID
    name: str
    number: str
    sip_username: str


@dataclass(frozen=True, slots=True)
class Challenged:
    """Answer with this status and header field."""

    status: int
    header: tuple[str, str]


@dataclass(frozen=True, slots=True)
class Denied:
    """The sender is known and may not do this."""

    status: int
    words: str


class Authentication:
    """``realm`` is the one that `identity` makes its hashes for."""

    def __init__(
        self,
        realm: str,
        credentials: CredentialPort,
        extensions: ExtensionPort,
        nonces: NonceBook,
        flood: FloodGuard,
    ) -> None:
        self._realm = realm
        self._credentials = credentials
        self._extensions = extensions
        self._nonces = nonces
        self._flood = flood

    async def authenticate(
        self, request: Request, flow: Flow, clock: Callable[[], float]
    ) -> Caller | Challenged | Denied:
        """Raises `Unavailable` or `LimitReached` while credentials cannot be looked up, and `RemoteProtocolError` for
        malformed ones."""
        branch = request.top_via.branch or ""
        if is_scanner(request.headers.get("user-agent") or ""):
            self._flood.offended(flow, Offence.SCANNER, clock(), branch=branch)
        values = [*request.headers.get_all("authorization"), *request.headers.get_all("proxy-authorization")]
        given = find_credentials(values, self._realm)
        if given is None:
            # Before anything is awaited, so that a burst is counted as it arrives.
            self._flood.offended(flow, Offence.UNAUTHENTICATED, clock(), branch=branch)
        claimed = given.username if given is not None else _user_of(request.from_.uri)
        device = await self._credentials.find(claimed) if claimed else None
        algorithm = device.algorithm if device is not None else DigestAlgorithm.MD5
        now = clock()
        if given is None:
            return self._challenge(request, algorithm, now)
        secret = device.ha1.get(algorithm, _NO_SECRET) if device is not None else _NO_SECRET
        proven = verify(given, method=request.method, ha1_hex=secret, algorithm=algorithm.value, body=request.body)
        if device is None or not proven:
            offence = Offence.WRONG_PASSWORD if device else Offence.UNKNOWN_USER
            self._flood.offended(flow, offence, now, branch=branch)
            return self._challenge(request, algorithm, now)
        if self._nonces.check(given.nonce, given.nc, now) is not NonceCheck.OK:
            return self._challenge(request, algorithm, now, stale=True)
        if not _made_for(given, request.uri):
            return Denied(400, "The digest was made for another address than the one that is asked for.")
        self._flood.authenticated(flow, now)
        if device.disabled:
            return Denied(403, "This device is disabled.")
        return await self._bind_from(request, device, given.username)

    def has_credentials(self, request: Request) -> bool:
        """It carries an answer to a challenge of ours, good or not. Raises `RemoteProtocolError` for malformed ones."""
        values = [*request.headers.get_all("authorization"), *request.headers.get_all("proxy-authorization")]
        return find_credentials(values, self._realm) is not None

    async def is_known_device(self, request: Request) -> bool:
        """From claims one of our devices, which is to be proven then. False while that cannot be looked up."""
        try:
            return await self._credentials.find(_user_of(request.from_.uri)) is not None
        except SentError:
            return False

    async def _bind_from(self, request: Request, device: DeviceCredential, sip_username: str) -> Caller | Denied:
        """RFC 3261 leaves From to the sender; here it is the device's own user name or one of its user's numbers."""
        extensions = await self._extensions.extensions_of(device.organization_id, device.user_id)
        shown = _user_of(request.from_.uri)
        if shown != sip_username and shown not in extensions:
            return Denied(403, "From does not belong to this device.")
        number = shown if shown in extensions else extensions[0] if extensions else sip_username
        return Caller(device.organization_id, device.user_id, device.device_id, device.user_name, number, sip_username)

    def _challenge(
        self, request: Request, algorithm: DigestAlgorithm, now: float, *, stale: bool = False
    ) -> Challenged:
        challenge = str(Challenge(self._realm, self._nonces.issue(now), algorithm.value, stale=stale))
        if request.method == "REGISTER":
            return Challenged(401, ("WWW-Authenticate", challenge))
        return Challenged(407, ("Proxy-Authenticate", challenge))


def _user_of(uri: Uri) -> str:
    if isinstance(uri, SipUri):
        return uri.user or ""
    return uri.number if isinstance(uri, TelUri) else ""


def _made_for(given: Credentials, target: Uri) -> bool:
    """RFC 7616 §3.4.6: the digest's uri means the Request-URI. Hosts may differ, as proxies in front rewrite them, and
    there are clients that leave the user part away (SIPp does): then it names no other number, at least."""
    try:
        return _user_of(parse_uri(given.uri)) in {"", _user_of(target)}
    except RemoteProtocolError:
        return False
