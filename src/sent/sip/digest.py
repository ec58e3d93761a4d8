"""Digest authentication, both sides: RFC 7616 with the SIP profile of RFC 8760, down to RFC 2617 and RFC 2069 peers.

Server: send ``str(Challenge(...))``, read the answer with `find_credentials`, then `verify` it and ask
`nonce.NonceBook` about its nonce. Client: `choose_challenge`, `make_response`. Nothing here keeps state.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from sent.sip.errors import LocalProtocolError, RemoteProtocolError
from sent.sip.grammar import is_token, quote
from sent.sip.header_extras import parse_auth_params
from sent.sip.uri import Uri

_HEX = frozenset("0123456789abcdefABCDEF")


def _md5(data: bytes) -> str:
    return hashlib.md5(data, usedforsecurity=False).hexdigest()


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


_HASHES: dict[str, Callable[[bytes], str]] = {"MD5": _md5, "SHA-256": _sha256}
ALGORITHMS = frozenset({"MD5", "MD5-sess", "SHA-256", "SHA-256-sess"})
_SPELLED = {name.lower(): name for name in ALGORITHMS}


def _hash(algorithm: str, *parts: str) -> str:
    base = algorithm.removesuffix("-sess")
    if base not in _HASHES:
        raise LocalProtocolError("an unknown digest algorithm")
    return _HASHES[base](":".join(parts).encode("utf-8", "surrogatepass"))


def ha1(username: str, realm: str, password: str, algorithm: str = "MD5") -> str:
    """What a server may store instead of the password: it is worth as much as that, in this realm."""
    return _hash(algorithm, username, realm, password)


def _spell_algorithm(value: str | None) -> str:
    """The RFC's spelling; MD5 where absent (RFC 7616 §3.3). Unknown ones stay as they are."""
    return "MD5" if value is None else _SPELLED.get(value.lower(), value)


@dataclass(frozen=True, slots=True)
class Challenge:
    """``WWW-Authenticate`` or ``Proxy-Authenticate``. Empty ``qop`` is an RFC 2069 server."""

    realm: str
    nonce: str
    algorithm: str = "MD5"
    qop: tuple[str, ...] = ("auth",)
    opaque: str | None = None
    stale: bool = False

    def __str__(self) -> str:
        text = f"Digest realm={quote(self.realm)}, nonce={quote(self.nonce)}, algorithm={self.algorithm}"
        if self.qop:
            text += f', qop="{",".join(self.qop)}"'
        if self.opaque is not None:
            text += f", opaque={quote(self.opaque)}"
        return text + ", stale=true" if self.stale else text

    @property
    def usable(self) -> bool:
        """We know the algorithm, and one of the qualities of protection."""
        return self.algorithm in ALGORITHMS and (not self.qop or "auth" in self.qop or "auth-int" in self.qop)


def parse_challenge(text: str) -> Challenge | None:
    """None for another scheme than Digest. Raises `RemoteProtocolError` for a Digest without realm or nonce."""
    scheme, params = parse_auth_params(text)
    if scheme.lower() != "digest":
        return None
    if "realm" not in params or "nonce" not in params:
        raise RemoteProtocolError("a digest challenge without realm or nonce")
    qop = tuple(part.strip().lower() for part in params.get("qop", "").split(",") if part.strip())
    return Challenge(
        realm=params["realm"],
        nonce=params["nonce"],
        algorithm=_spell_algorithm(params.get("algorithm")),
        qop=qop,
        opaque=params.get("opaque"),
        stale=params.get("stale", "").lower() == "true",
    )


def choose_challenge(values: Iterable[str]) -> Challenge | None:
    """The first one that we can answer: servers list them by preference (RFC 8760 §2.4). Malformed ones are passed
    over; None if nothing is left."""
    for value in values:
        try:
            challenge = parse_challenge(value)
        except RemoteProtocolError:
            continue  # another one may do; if none does, the 401 itself is what the caller reports
        if challenge is not None and challenge.usable:
            return challenge
    return None


@dataclass(frozen=True, slots=True)
class Credentials:
    """``Authorization`` or ``Proxy-Authorization``. ``qop``, ``nc`` and ``cnonce`` are None for RFC 2069 clients."""

    username: str
    realm: str
    nonce: str
    uri: str
    response: str = field(repr=False)
    algorithm: str = "MD5"
    qop: str | None = None
    nc: int | None = None
    cnonce: str | None = None
    opaque: str | None = None

    def __str__(self) -> str:
        text = (
            f"Digest username={quote(self.username)}, realm={quote(self.realm)}, nonce={quote(self.nonce)}, "
            f'uri={quote(self.uri)}, response="{self.response}", algorithm={self.algorithm}'
        )
        if self.cnonce is not None:
            text += f", cnonce={quote(self.cnonce)}"
        if self.opaque is not None:
            text += f", opaque={quote(self.opaque)}"
        if self.qop is not None:
            text += f", qop={self.qop}, nc={self.nc or 0:08x}"
        return text


def parse_credentials(text: str) -> Credentials | None:
    """None for another scheme than Digest: such a header counts as absent (RFC 4475 §3.3.7).

    Raises `RemoteProtocolError` where a parameter that must be there is missing or malformed.
    """
    scheme, params = parse_auth_params(text)
    if scheme.lower() != "digest":
        return None
    if not {"username", "realm", "nonce", "uri", "response"} <= params.keys():
        raise RemoteProtocolError("digest credentials lack a parameter")
    qop = params.get("qop")
    nc: int | None = None
    if qop is not None:
        qop = qop.lower()
        count = params.get("nc", "")
        if not is_token(qop) or len(count) != 8 or not set(count) <= _HEX or "cnonce" not in params:
            raise RemoteProtocolError("digest credentials with qop need cnonce and an eight-digit nc")
        nc = int(count, 16)
    return Credentials(
        username=params["username"],
        realm=params["realm"],
        nonce=params["nonce"],
        uri=params["uri"],
        response=params["response"],
        algorithm=_spell_algorithm(params.get("algorithm")),
        qop=qop,
        nc=nc,
        cnonce=params.get("cnonce"),
        opaque=params.get("opaque"),
    )


def find_credentials(values: Iterable[str], realm: str) -> Credentials | None:
    """The first Digest credentials for ``realm``; None if there are none. Raises `RemoteProtocolError`."""
    for value in values:
        credentials = parse_credentials(value)
        if credentials is not None and credentials.realm == realm:
            return credentials
    return None


def _response(credentials: Credentials, method: str, ha1_hex: str, body: bytes) -> str:
    """RFC 7616 §3.4.1. For ``-sess`` algorithms the session key is made of ``ha1_hex``."""
    algorithm = credentials.algorithm
    secret = ha1_hex
    if algorithm.endswith("-sess"):
        secret = _hash(algorithm, ha1_hex, credentials.nonce, credentials.cnonce or "")
    if credentials.qop == "auth-int":
        body_hash = _HASHES[algorithm.removesuffix("-sess")](body)
        ha2 = _hash(algorithm, method, credentials.uri, body_hash)
    else:
        ha2 = _hash(algorithm, method, credentials.uri)
    if credentials.qop is None:
        return _hash(algorithm, secret, credentials.nonce, ha2)
    count = f"{credentials.nc or 0:08x}"
    return _hash(algorithm, secret, credentials.nonce, count, credentials.cnonce or "", credentials.qop, ha2)


def make_response(
    challenge: Challenge,
    *,
    method: str,
    uri: Uri | str,
    username: str,
    cnonce: str,
    nc: int = 1,
    password: str | None = None,
    ha1_hex: str | None = None,
    body: bytes = b"",
) -> Credentials:
    """Answer ``challenge`` with either ``password`` or ``ha1_hex``.

    ``cnonce`` is a fresh token; ``nc`` counts the uses of this nonce from 1. Raises `LocalProtocolError` for a
    challenge that is not `usable`.
    """
    if not challenge.usable:
        raise LocalProtocolError("a challenge with an unknown algorithm or quality of protection")
    if ha1_hex is None:
        if password is None:
            raise LocalProtocolError("neither a password nor its hash is given")
        ha1_hex = ha1(username, challenge.realm, password, challenge.algorithm)
    qop = None if not challenge.qop else "auth" if "auth" in challenge.qop else "auth-int"
    needs_cnonce = qop is not None or challenge.algorithm.endswith("-sess")
    unsigned = Credentials(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=str(uri),
        response="",
        algorithm=challenge.algorithm,
        qop=qop,
        nc=nc if qop is not None else None,
        cnonce=cnonce if needs_cnonce else None,
        opaque=challenge.opaque,
    )
    signed = _response(unsigned, method, ha1_hex, body)
    return Credentials(
        username=username,
        realm=challenge.realm,
        nonce=challenge.nonce,
        uri=unsigned.uri,
        response=signed,
        algorithm=challenge.algorithm,
        qop=unsigned.qop,
        nc=unsigned.nc,
        cnonce=unsigned.cnonce,
        opaque=challenge.opaque,
    )


def verify(credentials: Credentials, *, method: str, ha1_hex: str, algorithm: str = "MD5", body: bytes = b"") -> bool:
    """Whether the response proves the secret behind ``ha1_hex``, in constant time.

    ``algorithm`` is the one that was offered, without ``-sess``: an answer in another one is refused, so that nobody
    talks us down. The caller still has to check realm, user name, the nonce (`nonce.NonceBook`) and, where it
    matters, that ``uri`` means the Request-URI.
    """
    if credentials.algorithm not in ALGORITHMS or credentials.algorithm.removesuffix("-sess") != algorithm:
        return False
    if credentials.qop not in {None, "auth", "auth-int"}:
        return False
    expected = _response(credentials, method, ha1_hex, body)
    return hmac.compare_digest(expected.encode(), credentials.response.lower().encode("utf-8", "surrogatepass"))
