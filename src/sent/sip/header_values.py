"""Typed header values that many header fields share: addresses, Via, CSeq. Rarer ones are in `header_extras`.

Each has a ``parse_…`` function that raises `RemoteProtocolError`, and a ``str()`` that gives the canonical form.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import pairwise

from sent.sip.errors import RemoteProtocolError
from sent.sip.grammar import MAX_UINT31, MAX_UINT32, TOKEN, is_token, match_quoted, parse_uint, quote, unquote
from sent.sip.host import format_host_port, parse_host_port, parse_port
from sent.sip.params import NO_PARAMS, Params, format_header_params, parse_header_params
from sent.sip.uri import Uri, parse_uri

MAGIC_COOKIE = "z9hG4bK"

# Unquoted display names are tokens by the letter of RFC 3261; everything but the marks that carry structure is taken.
_BAD_DISPLAY = re.compile(r'[",;:<>\x00-\x08\x0a-\x1f\x7f]').search
_VIA_SLOW = re.compile(rf"SIP[ \t]*/[ \t]*2\.0[ \t]*/[ \t]*({TOKEN})[ \t]+", re.IGNORECASE).match
_VIA_FAST = re.compile(rf"SIP/2\.0/({TOKEN}) ").match
_CSEQ = re.compile(rf"([0-9]{{1,32}})[ \t]+({TOKEN})").fullmatch
_Q = re.compile(r"0(?:\.[0-9]{0,3})?|1(?:\.0{0,3})?").fullmatch


@dataclass(frozen=True, slots=True)
class NameAddr:
    """From, To, Contact, Route, Refer-To …: a URI, who it is, and header parameters (the URI's own are in the URI).

    ``display`` is plain text, unquoted.
    """

    uri: Uri
    display: str = ""
    params: Params = NO_PARAMS

    @property
    def tag(self) -> str | None:
        return self.params.get("tag")

    @property
    def expires(self) -> int | None:
        """The Contact's ``expires`` in seconds; None where absent. Malformed or too large counts as 3600
        (RFC 3261 §10.2.1.1), so this never raises."""
        value = self.params.get("expires")
        if value is None:
            return None
        try:
            return parse_uint(value, "expires")
        except RemoteProtocolError:
            return 3600

    @property
    def q(self) -> float:
        """The Contact's preference, 0 to 1; 1 where absent or malformed."""
        value = self.params.get("q")
        return float(value) if value is not None and _Q(value) else 1.0

    def with_tag(self, tag: str) -> NameAddr:
        return NameAddr(self.uri, self.display, self.params.with_("tag", tag))

    def __str__(self) -> str:
        text = f"<{self.uri}>{format_header_params(self.params)}"
        return f"{quote(self.display)} {text}" if self.display else text


def _split_display(text: str) -> tuple[str, int]:
    """The display name, and the position of the ``<`` that follows it."""
    if text[0] == '"':
        quoted = match_quoted(text)
        if quoted is None:
            raise RemoteProtocolError("unbalanced quotation marks")
        after = quoted.end()
        while text[after : after + 1] in {" ", "\t"}:
            after += 1
        if text[after : after + 1] != "<":
            raise RemoteProtocolError("no address after a display name")
        return unquote(quoted[1]), after
    opening = text.find("<")
    display = text[:opening].rstrip(" \t")
    if display and _BAD_DISPLAY(display):
        raise RemoteProtocolError("a display name must be quoted")
    return display, opening


def parse_name_addr(text: str) -> NameAddr:
    """Exactly one ``name-addr`` or ``addr-spec`` with its parameters.

    Without ``<>`` all that follows the first ``;`` belongs to the header, and a URI that holds ``,`` or ``?`` is
    an error (RFC 3261 §20.10).
    """
    text = text.strip(" \t")
    if not text:
        raise RemoteProtocolError("empty address")
    if text[0] == '"' or "<" in text:
        display, opening = _split_display(text)
        closing = text.find(">", opening)
        if closing < 0:
            raise RemoteProtocolError("unbalanced angle brackets")
        uri = parse_uri(text[opening + 1 : closing])
        rest = text[closing + 1 :].lstrip(" \t")
        if not rest:
            return NameAddr(uri, display)
        if rest[0] != ";":
            raise RemoteProtocolError("garbage after an address")
        return NameAddr(uri, display, parse_header_params(rest[1:]))
    spec, semicolon, params = text.partition(";")
    if "?" in spec or "," in spec:
        raise RemoteProtocolError("a URI with ',' or '?' must be enclosed in <>")
    uri = parse_uri(spec.rstrip(" \t"))
    return NameAddr(uri, "", parse_header_params(params) if semicolon else NO_PARAMS)


@dataclass(frozen=True, slots=True)
class Via:
    """One hop (RFC 3261 §20.42). ``transport`` is in upper case, ``host`` without brackets."""

    transport: str
    host: str
    port: int | None = None
    params: Params = NO_PARAMS

    @property
    def branch(self) -> str | None:
        return self.params.get("branch")

    @property
    def has_rfc3261_branch(self) -> bool:
        """The branch identifies its transaction: the magic cookie, and something after it (RFC 3261 §8.1.1.7)."""
        branch = self.branch
        return branch is not None and len(branch) > len(MAGIC_COOKIE) and branch.startswith(MAGIC_COOKIE)

    @property
    def received(self) -> str | None:
        """The address that the request came from, without brackets (both forms are met, RFC 5118 §4.5)."""
        value = self.params.get("received")
        return value.strip("[]") if value else None

    @property
    def wants_rport(self) -> bool:
        """The client asks for RFC 3581 routing: ``;rport``, with or without value."""
        return self.params.has("rport")

    @property
    def rport(self) -> int | None:
        """The port that a server filled in; None where absent, empty or malformed."""
        value = self.params.get("rport")
        try:
            return parse_port(value) if value else None
        except RemoteProtocolError:
            return None

    def __str__(self) -> str:
        sent_by = format_host_port(self.host, self.port)
        return f"SIP/2.0/{self.transport} {sent_by}{format_header_params(self.params)}"


def parse_via(text: str) -> Via:
    """Exactly one Via value, with whitespace wherever RFC 3261 lets it stand."""
    match = _VIA_FAST(text) or _VIA_SLOW(text)
    if match is None:
        raise RemoteProtocolError("malformed Via")
    sent_by, semicolon, params = text[match.end() :].partition(";")
    sent_by = sent_by.strip(" \t")
    if " " in sent_by or "\t" in sent_by:
        parts = sent_by.split()
        if not all(left.endswith(":") or right.startswith(":") for left, right in pairwise(parts)):
            raise RemoteProtocolError("malformed Via")
        sent_by = "".join(parts)
    host, port = parse_host_port(sent_by)
    return Via(match[1].upper(), host, port, parse_header_params(params) if semicolon else NO_PARAMS)


@dataclass(frozen=True, slots=True)
class CSeq:
    number: int
    method: str

    def __str__(self) -> str:
        return f"{self.number} {self.method}"


def parse_cseq(text: str) -> CSeq:
    """``number`` is below 2**31 (RFC 3261 §8.1.1.5)."""
    match = _CSEQ(text)
    if match is None:
        raise RemoteProtocolError("malformed CSeq")
    return CSeq(parse_uint(match[1], "CSeq", MAX_UINT31), match[2])


@dataclass(frozen=True, slots=True)
class RAck:
    """Which reliable provisional response a PRACK acknowledges (RFC 3262 §7.2)."""

    rseq: int
    cseq: int
    method: str

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


def parse_rack(text: str) -> RAck:
    parts = text.split()
    if len(parts) != 3 or not is_token(parts[2]):
        raise RemoteProtocolError("malformed RAck")
    return RAck(parse_uint(parts[0], "RAck", MAX_UINT32), parse_uint(parts[1], "RAck", MAX_UINT31), parts[2])
