"""Typed values of the rarer header fields: Reason, Warning, session timers, Replaces, Retry-After.

Like those in `header_values`: ``parse_…`` raises `RemoteProtocolError`, ``str()`` gives the canonical form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sent.sip.errors import RemoteProtocolError
from sent.sip.grammar import TOKEN, is_token, match_quoted, parse_quoted, parse_uint, quote
from sent.sip.params import NO_PARAMS, Params, format_header_params, parse_header_params

_WARNING = re.compile(r"([1-9][0-9]{2})[ \t]+([^\s\"]+)[ \t]+(?=\")").match
_RETRY_AFTER = re.compile(r"[ \t]*([0-9]{1,32})[ \t]*(?:[;(]|$)").match
_AUTH_PARAM = re.compile(rf"({TOKEN})[ \t]*=[ \t]*").match


@dataclass(frozen=True, slots=True)
class Reason:
    """Why a request was sent (RFC 3326): ``Reason: Q.850;cause=17;text="User busy"``."""

    protocol: str
    cause: int | None = None
    text: str = ""

    def __str__(self) -> str:
        value = self.protocol
        if self.cause is not None:
            value += f";cause={self.cause}"
        if self.text:
            value += f";text={quote(self.text)}"
        return value


def parse_reason(text: str) -> Reason:
    protocol, semicolon, rest = text.partition(";")
    protocol = protocol.strip(" \t")
    if not is_token(protocol):
        raise RemoteProtocolError("malformed Reason")
    params = parse_header_params(rest) if semicolon else NO_PARAMS
    cause = params.get("cause")
    return Reason(protocol, None if cause is None else parse_uint(cause, "cause", 999), params.get("text") or "")


@dataclass(frozen=True, slots=True)
class Warning:  # noqa: A001 - the RFC's name of this header field; nobody raises it
    """RFC 3261 §20.43. ``agent`` is who says so: host[:port] or a pseudonym."""

    code: int
    agent: str
    text: str

    def __str__(self) -> str:
        return f"{self.code} {self.agent} {quote(self.text)}"


def parse_warning(text: str) -> Warning:
    text = text.strip(" \t")
    match = _WARNING(text)
    if match is None:
        raise RemoteProtocolError("malformed Warning")
    return Warning(int(match[1]), match[2], parse_quoted(text[match.end() :]))


@dataclass(frozen=True, slots=True)
class SessionExpires:
    """RFC 4028 §4. ``refresher`` is ``uac``, ``uas`` or None where it is left open."""

    seconds: int
    refresher: str | None = None

    def __str__(self) -> str:
        return str(self.seconds) if self.refresher is None else f"{self.seconds};refresher={self.refresher}"


def parse_session_expires(text: str) -> SessionExpires:
    seconds, semicolon, rest = text.partition(";")
    params = parse_header_params(rest) if semicolon else NO_PARAMS
    refresher = (params.get("refresher") or "").lower()
    if refresher not in {"", "uac", "uas"}:
        raise RemoteProtocolError("malformed Session-Expires")
    return SessionExpires(parse_uint(seconds.strip(" \t"), "Session-Expires"), refresher or None)


def parse_min_se(text: str) -> int:
    """Seconds (RFC 4028 §5)."""
    return parse_uint(text.partition(";")[0].strip(" \t"), "Min-SE")


@dataclass(frozen=True, slots=True)
class Replaces:
    """Which dialog an INVITE takes the place of (RFC 3891). Tags are those that the *receiver* calls so."""

    call_id: str
    to_tag: str
    from_tag: str
    early_only: bool = False

    def __str__(self) -> str:
        value = f"{self.call_id};to-tag={self.to_tag};from-tag={self.from_tag}"
        return value + ";early-only" if self.early_only else value


def parse_replaces(text: str) -> Replaces:
    call_id, _, rest = text.partition(";")
    call_id = call_id.strip(" \t")
    params: Params = parse_header_params(rest)
    to_tag, from_tag = params.get("to-tag"), params.get("from-tag")
    if not call_id or to_tag is None or from_tag is None:
        raise RemoteProtocolError("malformed Replaces")
    return Replaces(call_id, to_tag, from_tag, params.has("early-only"))


def parse_retry_after(text: str | None) -> int | None:
    """Seconds; None where absent or malformed. Values beyond a day count as a day: a peer that asks for
    centuries (RFC 4475 §3.1.2.5) is asked again tomorrow."""
    match = _RETRY_AFTER(text) if text is not None else None
    return None if match is None else min(int(match[1]), 86_400)


@dataclass(frozen=True, slots=True)
class MediaType:
    """``type/subtype`` in lower case, and its parameters (RFC 3261 §20.15)."""

    name: str
    params: Params = NO_PARAMS

    def __str__(self) -> str:
        return self.name + format_header_params(self.params)


def parse_media_type(text: str) -> MediaType:
    """Also a range as in Accept (``application/*``)."""
    name, semicolon, rest = text.partition(";")
    kind, slash, subtype = name.partition("/")
    kind, subtype = kind.strip(" \t"), subtype.strip(" \t")
    if not slash or not is_token(kind) or not is_token(subtype):
        raise RemoteProtocolError("malformed media type")
    return MediaType(f"{kind}/{subtype}".lower(), parse_header_params(rest) if semicolon else NO_PARAMS)


def parse_auth_params(text: str) -> tuple[str, dict[str, str]]:
    """``Scheme name=value, name="value"`` (WWW-Authenticate, Authorization and their proxy forms).

    Gives the scheme as written, and the parameters with lower-case names, unquoted. A repeated parameter is an error:
    two readers could take different ones (RFC 7616 §3.4).
    """
    text = text.strip(" \t")
    scheme, _, rest = text.partition(" ")
    if not is_token(scheme):
        raise RemoteProtocolError("malformed authentication scheme")
    params: dict[str, str] = {}
    position, end = 0, len(rest)
    while position < end:
        if rest[position] in " \t,":
            position += 1
            continue
        match = _AUTH_PARAM(rest, position)
        if match is None:
            raise RemoteProtocolError("malformed authentication parameter")
        name, position = match[1].lower(), match.end()
        if rest[position : position + 1] == '"':
            quoted = match_quoted(rest, position)
            if quoted is None:
                raise RemoteProtocolError("unbalanced quotation marks")
            value, after = parse_quoted(quoted[0]), quoted.end()
        else:
            after = rest.find(",", position)
            after = end if after < 0 else after
            value = rest[position:after].rstrip(" \t")
        if name in params:
            raise RemoteProtocolError("an authentication parameter is repeated")
        params[name] = value
        position = after
    return scheme, params
