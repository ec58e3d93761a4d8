"""Requests and responses. Header values stay raw until somebody asks; typed properties are parsed once and kept."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar

from sent.sip.errors import LocalProtocolError, RemoteProtocolError
from sent.sip.grammar import is_token, parse_uint
from sent.sip.header_values import CSeq, NameAddr, Via, parse_cseq, parse_name_addr, parse_via
from sent.sip.headers import Headers
from sent.sip.status import reason_phrase
from sent.sip.uri import Uri

T = TypeVar("T")

# Wider than `callid` in the grammar (any visible ASCII), since it is only ever compared and shown.
_CALL_ID = re.compile(r"[\x21-\x7e]+").fullmatch


class _Typed:
    """The typed properties that requests and responses share. Each raises `RemoteProtocolError` where the value is
    malformed, or missing although the RFC demands it."""

    __slots__ = ()

    headers: Headers
    body: bytes

    def _single(self, name: str, parse: Callable[[str], T]) -> T:
        value = self.headers.get(name)
        if value is None:
            raise RemoteProtocolError(f"no {name} header field")
        return parse(value)

    def _list(self, name: str, parse: Callable[[str], T]) -> list[T]:
        return [parse(value) for value in self.headers.get_all(name)]

    @property
    def vias(self) -> list[Via]:
        """From the last hop back to the origin; at least one."""
        return self.headers.typed("vias", self._parse_vias)

    def _parse_vias(self) -> list[Via]:
        vias = self._list("via", parse_via)
        if not vias:
            raise RemoteProtocolError("no Via header field")
        return vias

    @property
    def top_via(self) -> Via:
        return self.vias[0]

    @property
    def from_(self) -> NameAddr:
        return self.headers.typed("from", lambda: self._single("From", parse_name_addr))

    @property
    def to(self) -> NameAddr:
        return self.headers.typed("to", lambda: self._single("To", parse_name_addr))

    @property
    def call_id(self) -> str:
        value = self.headers.get("call-id")
        if not value or not _CALL_ID(value):
            raise RemoteProtocolError("no usable Call-ID header field")
        return value

    @property
    def cseq(self) -> CSeq:
        return self.headers.typed("cseq", lambda: self._single("CSeq", parse_cseq))

    @property
    def contacts(self) -> list[NameAddr]:
        """Empty for ``Contact: *`` too; see `contact_is_star`."""
        if self.contact_is_star:
            return []
        return self.headers.typed("contacts", lambda: self._list("contact", parse_name_addr))

    @property
    def contact_is_star(self) -> bool:
        """``Contact: *``: unregister all (RFC 3261 §10.2.2). Beside other Contacts it is malformed."""
        return self.headers.get("contact") == "*" and self.headers.count("contact") == 1

    @property
    def routes(self) -> list[NameAddr]:
        return self.headers.typed("routes", lambda: self._list("route", parse_name_addr))

    @property
    def record_routes(self) -> list[NameAddr]:
        return self.headers.typed("record-routes", lambda: self._list("record-route", parse_name_addr))

    @property
    def paths(self) -> list[NameAddr]:
        return self.headers.typed("paths", lambda: self._list("path", parse_name_addr))

    @property
    def max_forwards(self) -> int | None:
        value = self.headers.get("max-forwards")
        return None if value is None else parse_uint(value, "Max-Forwards", 255)

    @property
    def expires(self) -> int | None:
        """Seconds; None where absent. Malformed or too large counts as 3600 (RFC 3261 §20.19), so this never raises."""
        value = self.headers.get("expires")
        if value is None:
            return None
        try:
            return parse_uint(value, "Expires")
        except RemoteProtocolError:
            return 3600

    @property
    def content_type(self) -> str | None:
        """``type/subtype`` in lower case, without parameters."""
        value = self.headers.get("content-type")
        return None if value is None else "".join(value.partition(";")[0].lower().split())

    def _tokens(self, name: str) -> frozenset[str]:
        return self.headers.typed(name, lambda: frozenset(filter(None, self.headers.get_all(name))))

    @property
    def supported(self) -> frozenset[str]:
        """Option tags, in lower case (RFC 3261 §7.3.1: compared without case)."""
        return self.headers.typed("supported+", lambda: frozenset(tag.lower() for tag in self._tokens("supported")))

    @property
    def require(self) -> frozenset[str]:
        return self.headers.typed("require+", lambda: frozenset(tag.lower() for tag in self._tokens("require")))

    @property
    def allow(self) -> frozenset[str]:
        """Methods; these are compared with case."""
        return self._tokens("allow")

    def _to_bytes(self, start_line: str) -> bytes:
        if "\r" in start_line or "\n" in start_line:
            raise LocalProtocolError("a start line holds a line end")
        lines = [start_line]
        lines += [f"{name}: {value}" for key, name, value in self.headers.fields() if key != "content-length"]
        lines.append(f"Content-Length: {len(self.body)}\r\n\r\n")
        return "\r\n".join(lines).encode() + self.body


@dataclass(slots=True)
class Request(_Typed):
    method: str
    uri: Uri
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = "SIP/2.0"

    def to_bytes(self) -> bytes:
        """The message on the wire. Content-Length is computed; one in ``headers`` is ignored."""
        if not is_token(self.method):
            raise LocalProtocolError("a method is not a token")
        return self._to_bytes(f"{self.method} {self.uri} {self.version}")

    def reply(self, status: int, reason: str | None = None, to_tag: str | None = None) -> Response:
        """See `reply_to`."""
        return reply_to(self.headers, status, reason, to_tag)


@dataclass(slots=True)
class Response(_Typed):
    status: int
    reason: str = ""
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""
    version: str = "SIP/2.0"

    def to_bytes(self) -> bytes:
        """The message on the wire. Content-Length is computed; one in ``headers`` is ignored."""
        if not 100 <= self.status <= 699:
            raise LocalProtocolError("a status is outside 100 to 699")
        return self._to_bytes(f"{self.version} {self.status} {self.reason}")


Message = Request | Response


def _tagged(to: str, tag: str) -> str:
    try:
        parsed = parse_name_addr(to)
    except RemoteProtocolError:
        return to  # a malformed To is copied as it came: the 400 that carries it says so
    return to if parsed.tag is not None else str(parsed.with_tag(tag))


def reply_to(request: Headers, status: int, reason: str | None = None, to_tag: str | None = None) -> Response:
    """A response that carries what RFC 3261 §8.2.6.2 copies: Via, From, To, Call-ID, CSeq, raw; and Timestamp in a 100.

    ``to_tag`` is added unless To has one already or cannot be parsed. Works on the headers of malformed requests too.
    """
    headers = Headers()
    for key, _, value in request.fields():
        if key == "via":
            headers.add("Via", value)
    for name in ("From", "To", "Call-ID", "CSeq"):
        copied = request.get(name)
        if copied is not None:
            headers.add(name, _tagged(copied, to_tag) if name == "To" and to_tag is not None else copied)
    timestamp = request.get("timestamp")
    if status == 100 and timestamp is not None:
        headers.add("Timestamp", timestamp)
    return Response(status, reason_phrase(status) if reason is None else reason, headers)
