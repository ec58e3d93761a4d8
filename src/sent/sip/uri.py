"""URIs: ``sip:`` and ``sips:`` (RFC 3261 §19.1), ``tel:`` (RFC 3966), and every other scheme kept as it is."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache

from sent.sip.errors import RemoteProtocolError
from sent.sip.grammar import is_token, unescape
from sent.sip.host import canonical_host, format_host_port, parse_host_port
from sent.sip.params import NO_PARAMS, Params

__all__ = ["OtherUri", "Params", "SipUri", "TelUri", "Uri", "equivalent", "parse_uri"]

_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+\-.]*").fullmatch
# What no URI holds unescaped: white space, controls, the marks that enclose one. '#' is let through, since phones
# dial '*72#' unescaped; so are letters outside ASCII in the user part.
_FORBIDDEN = re.compile(r'[\x00-\x20\x7f<>"\\^`{|}]').search
_TEL_NUMBER = re.compile(r"\+?[0-9A-Fa-f*#\-.()]*[0-9A-Fa-f*#][0-9A-Fa-f*#\-.()]*").fullmatch
_VISUAL_SEPARATORS = str.maketrans("", "", "-.()")

_UNRESERVED = "A-Za-z0-9\\-_.!~*'()"
_USER_UNSAFE = re.compile(rf"[^{_UNRESERVED}&=+$,;?/]")
_PASSWORD_UNSAFE = re.compile(rf"[^{_UNRESERVED}&=+$,]")
_PARAM_UNSAFE = re.compile(rf"[^{_UNRESERVED}\[\]/:&+$]")
_HEADER_UNSAFE = re.compile(rf"[^{_UNRESERVED}\[\]/?:+$]")

_NEVER_IGNORED = ("transport", "user", "ttl", "method", "maddr")


def _escape_one(match: re.Match[str]) -> str:
    return "".join(f"%{octet:02X}" for octet in match[0].encode())


@dataclass(frozen=True, slots=True)
class SipUri:
    """All parts are plain text, unescaped; ``host`` has no brackets. ``str()`` escapes and brackets again.

    ``user`` may hold any character, NUL included (``%00``): look it up only after checking what it is made of. Only
    in a Request-URI are control characters refused, by `parser.validate`.
    """

    scheme: str
    host: str
    user: str | None = None
    password: str | None = None
    port: int | None = None
    params: Params = NO_PARAMS
    headers: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        text = f"{self.scheme}:"
        if self.user is not None:
            text += _USER_UNSAFE.sub(_escape_one, self.user)
            if self.password is not None:
                text += ":" + _PASSWORD_UNSAFE.sub(_escape_one, self.password)
            text += "@"
        text += format_host_port(self.host, self.port)
        for name, value in self.params.items:
            text += ";" + _PARAM_UNSAFE.sub(_escape_one, name)
            if value is not None:
                text += "=" + _PARAM_UNSAFE.sub(_escape_one, value)
        mark = "?"
        for name, value in self.headers:
            text += f"{mark}{_HEADER_UNSAFE.sub(_escape_one, name)}={_HEADER_UNSAFE.sub(_escape_one, value)}"
            mark = "&"
        return text


@dataclass(frozen=True, slots=True)
class TelUri:
    """``number`` as written, visual separators included; ``digits`` is what to dial."""

    number: str
    params: Params = NO_PARAMS

    @property
    def digits(self) -> str:
        return self.number.translate(_VISUAL_SEPARATORS)

    def __str__(self) -> str:
        text = f"tel:{self.number}"
        for name, value in self.params.items:
            text += f";{name}" if value is None else f";{name}={_PARAM_UNSAFE.sub(_escape_one, value)}"
        return text


@dataclass(frozen=True, slots=True)
class OtherUri:
    """A scheme that we do not speak. As a Request-URI it is answered with 416, elsewhere it is carried along."""

    scheme: str
    rest: str

    def __str__(self) -> str:
        return f"{self.scheme}:{self.rest}"


Uri = SipUri | TelUri | OtherUri


def _parse_params(text: str) -> Params:
    """``text`` follows the first ``;``."""
    items: list[tuple[str, str | None]] = []
    for part in text.split(";"):
        name, equals, value = part.partition("=")
        if not name:
            raise RemoteProtocolError("empty parameter in a URI")
        items.append((unescape(name), unescape(value) if equals else None))
    return Params(tuple(items))


def _parse_sip(scheme: str, rest: str) -> SipUri:
    user = password = None
    userinfo, at, remainder = rest.partition("@")
    if at:
        user, colon, password_text = userinfo.partition(":")
        if not user:
            raise RemoteProtocolError("empty user in a URI")
        user = unescape(user)
        if colon:
            password = unescape(password_text)
    else:
        remainder = rest
    remainder, question, headers_text = remainder.partition("?")
    host_port, semicolon, params_text = remainder.partition(";")
    if "@" in params_text:
        raise RemoteProtocolError("a second '@' in a URI")
    host, port = parse_host_port(host_port)
    headers: tuple[tuple[str, str], ...] = ()
    if question:
        headers = tuple(_parse_header(part) for part in headers_text.split("&"))
    return SipUri(scheme, host, user, password, port, _parse_params(params_text) if semicolon else NO_PARAMS, headers)


def _parse_header(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise RemoteProtocolError("malformed header in a URI")
    return unescape(name), unescape(value)


def _parse_tel(rest: str) -> TelUri:
    number, semicolon, params_text = rest.partition(";")
    if not _TEL_NUMBER(number):
        raise RemoteProtocolError("malformed telephone number in a URI")
    params = _parse_params(params_text) if semicolon else NO_PARAMS
    if not all(is_token(name) for name, _ in params.items):
        raise RemoteProtocolError("malformed parameter in a URI")
    return TelUri(number, params)


def _parse_uri(text: str) -> Uri:
    scheme, colon, rest = text.partition(":")
    if not colon or not rest or not _SCHEME(scheme):
        raise RemoteProtocolError("malformed URI")
    if _FORBIDDEN(text):
        raise RemoteProtocolError("a URI holds characters that must be escaped")
    scheme = scheme.lower()
    if scheme in {"sip", "sips"}:
        return _parse_sip(scheme, rest)
    if scheme == "tel":
        return _parse_tel(rest)
    return OtherUri(scheme, rest)


_parse_cached = lru_cache(maxsize=1024)(_parse_uri)


def parse_uri(text: str) -> Uri:
    """Parse an absolute URI with nothing around it. Raises `RemoteProtocolError`.

    Short ones are cached: phones and carriers repeat theirs with every message.
    """
    return _parse_cached(text) if len(text) <= 128 else _parse_uri(text)


def _same_params(a: Params, b: Params) -> bool:
    """RFC 3261 §19.1.4: what both have must match; some may not be missing from one; the rest is ignored then."""
    of_a = {name.lower(): value for name, value in reversed(a.items)}
    of_b = {name.lower(): value for name, value in reversed(b.items)}
    for name in (of_a.keys() & of_b.keys()) | {name for name in _NEVER_IGNORED if name in of_a or name in of_b}:
        if name not in of_a or name not in of_b or (of_a[name] or "").lower() != (of_b[name] or "").lower():
            return False
    return True


def equivalent(a: Uri, b: Uri) -> bool:
    """Whether two URIs mean the same (RFC 3261 §19.1.4, RFC 5954 §4.2; RFC 3966 §4 for ``tel:``)."""
    if isinstance(a, SipUri) and isinstance(b, SipUri):
        return (
            (a.scheme, a.user, a.password, a.port) == (b.scheme, b.user, b.password, b.port)
            and canonical_host(a.host) == canonical_host(b.host)
            and _same_params(a.params, b.params)
            and sorted((name.lower(), value) for name, value in a.headers)
            == sorted((name.lower(), value) for name, value in b.headers)
        )
    if isinstance(a, TelUri) and isinstance(b, TelUri):
        return a.digits.lower() == b.digits.lower() and sorted(
            (name.lower(), (value or "").lower()) for name, value in a.params.items
        ) == sorted((name.lower(), (value or "").lower()) for name, value in b.params.items)
    return a == b
