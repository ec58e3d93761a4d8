"""From octets to messages: the head of a message, whole datagrams, and what must hold before any work is done.

The head is read strictly (start line, names, line ends, framing), header values stay raw (see `message`).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from sent.sip.errors import RemoteProtocolError
from sent.sip.grammar import has_control, is_token, parse_uint
from sent.sip.headers import KNOWN_KEYS, Headers, header_key
from sent.sip.message import Message, Request, Response
from sent.sip.uri import SipUri, Uri, parse_uri

MAX_MESSAGE = 65_536
MAX_FIELDS = 256
MAX_LINE = 8_192

_BARE_CONTROL = re.compile(r"(?<!\\)[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]").search
_ESCAPED_CONTROL = re.compile(r"\\[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_CONTROLS = bytes([*range(9), 11, 12, *range(14, 32), 127])
_VERSION = re.compile(r"SIP/[0-9]{1,8}\.[0-9]{1,8}", re.IGNORECASE).fullmatch
_STATUS = re.compile(r"[1-6][0-9]{2}").fullmatch

# RFC 3261 table 2: these stand once. (Authorization, Contact, Via and other lists may repeat.)
_ONCE = frozenset(
    {"call-id", "content-length", "content-type", "cseq", "date", "expires", "from", "max-forwards", "min-se"}
    | {"rack", "refer-to", "replaces", "rseq", "session-expires", "to"}
)


@dataclass(slots=True)
class Head:
    """The start line and the header fields. ``method`` and ``uri`` are set for requests, ``status`` for responses."""

    headers: Headers
    method: str | None = None
    uri: Uri | None = None
    status: int = 0
    reason: str = ""

    def with_body(self, body: bytes) -> Message:
        if self.method is not None and self.uri is not None:
            return Request(self.method, self.uri, self.headers, body)
        return Response(self.status, self.reason, self.headers, body)


def _parse_status_line(line: str, head: Head) -> None:
    version, _, rest = line.partition(" ")
    status, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0" or not _STATUS(status):
        raise RemoteProtocolError("malformed status line")
    head.status = int(status)
    head.reason = reason


def _parse_request_line(line: str, head: Head) -> None:
    """``Method SP Request-URI SP SIP-Version``, single spaces, nothing before or after (RFC 3261 §7.1).

    The method is kept even if the rest is malformed, as long as the line claims to be SIP.
    """
    parts = line.split(" ")
    method, version = parts[0], parts[-1]
    if len(parts) == 3 and version == "SIP/2.0" and is_token(method):
        head.method = method
        head.uri = parse_uri(parts[1])
        return
    version = line.rstrip(" \t").rpartition(" ")[2]
    if not _VERSION(version) or not is_token(method):
        raise RemoteProtocolError("not a SIP message")
    head.method = method
    if version.upper() != "SIP/2.0":
        raise RemoteProtocolError("SIP version not supported", status=505)
    if len(parts) != 3 or parts[-1] != version:
        raise RemoteProtocolError("malformed request line")
    head.uri = parse_uri(parts[1])


def _unfold(lines: list[str]) -> list[str]:
    """Join continuation lines with one space each (RFC 3261 §7.3.1)."""
    joined: list[list[str]] = []
    for line in lines:
        if line[:1] in {" ", "\t"}:
            if len(joined) < 2:
                raise RemoteProtocolError("a header begins with white space")
            joined[-1].append(line.strip(" \t"))
        else:
            joined.append([line])
    return [" ".join(parts) if len(parts) > 1 else parts[0] for parts in joined]


def _parse_fields(lines: list[str]) -> tuple[list[tuple[str, str, str]], RemoteProtocolError | None]:
    """The well-formed header fields, and the first error among the others."""
    fields = []
    error = None
    if len(lines) > MAX_FIELDS:
        error = RemoteProtocolError("too many header fields", status=513)
        del lines[MAX_FIELDS:]
    for line in lines:
        name, colon, value = line.partition(":")
        key = KNOWN_KEYS.get(name)
        if key is None or not colon:
            name = name.rstrip(" \t")
            if not colon or not is_token(name):
                error = error or RemoteProtocolError("malformed header field")
                continue
            key = header_key(name)
        if len(line) > MAX_LINE:
            error = error or RemoteProtocolError("a header field is too long", status=513)
            continue
        fields.append((key, name, value.strip(" \t")))
    return fields, error


def parse_head(octets: bytes) -> Head:
    """``octets`` are the start line and header fields without the empty line that ends them.

    Raises `RemoteProtocolError`, with method and headers where a request line was found. Text is UTF-8; a head
    that is not is read as ISO 8859-1, since phones with such display names are in use. Control characters, which a
    quoted string may carry behind a backslash, become U+FFFD: nothing above has to expect them in a header.
    """
    try:
        text = octets.decode()
    except UnicodeDecodeError:
        text = octets.decode("latin-1")
    lines = text.split("\r\n")
    if text.count("\n") != len(lines) - 1 or text.count("\r") != len(lines) - 1:
        raise RemoteProtocolError("a line ends in something else than CRLF")
    if len(octets.translate(None, _CONTROLS)) != len(octets):
        if _BARE_CONTROL(text):
            raise RemoteProtocolError("a control character outside a quoted string")
        lines = _ESCAPED_CONTROL.sub("\ufffd", text).split("\r\n")
    if "\r\n " in text or "\r\n\t" in text:
        lines = _unfold(lines)
    start = lines.pop(0)
    head = Head(Headers.from_wire([]))
    error: RemoteProtocolError | None = None
    try:
        if len(start) > MAX_LINE:
            raise RemoteProtocolError("the start line is too long", status=414)
        if start[:4].upper() == "SIP/":
            _parse_status_line(start, head)
        else:
            _parse_request_line(start, head)
    except RemoteProtocolError as start_error:
        if head.method is None:
            raise
        error = start_error
    fields, field_error = _parse_fields(lines)
    head.headers = Headers.from_wire(fields)
    error = error or field_error
    if error is not None:
        raise blame(error, head)
    return head


def blame(error: RemoteProtocolError, head: Head) -> RemoteProtocolError:
    """The error with what is needed to answer it (see `RemoteProtocolError`)."""
    if head.method is not None:
        error.method, error.headers = head.method, head.headers
    return error


def content_length(headers: Headers) -> int | None:
    """None where absent. Raises `RemoteProtocolError` if it is no number, or there are several."""
    value = headers.get("content-length")
    if value is None:
        return None
    if headers.count("content-length") > 1:
        raise RemoteProtocolError("several Content-Length header fields")
    return parse_uint(value, "Content-Length")


def is_keep_alive(datagram: bytes) -> bool:
    """Nothing but line ends or NULs: phones keep NAT bindings open with those."""
    return not datagram.strip(b"\r\n\0")


def parse_datagram(data: bytes) -> Message:
    """One message that came in a datagram or a WebSocket frame. Raises `RemoteProtocolError`.

    Octets after the body that Content-Length gives are dropped (RFC 3261 §18.3); a body shorter than that is
    an error; without Content-Length the body goes to the end.
    """
    if len(data) > MAX_MESSAGE:
        raise RemoteProtocolError("the message is too large", status=513)
    data = data.lstrip(b"\r\n")
    end = data.find(b"\r\n\r\n")
    if end < 0:
        raise RemoteProtocolError("no empty line after the header")
    head = parse_head(data[:end])
    body = data[end + 4 :]
    try:
        length = content_length(head.headers)
        if length is not None and length > len(body):
            raise RemoteProtocolError("the body is shorter than Content-Length")
    except RemoteProtocolError as error:
        raise blame(error, head) from None
    return head.with_body(body if length is None else body[:length])


def validate(message: Message) -> None:
    """What must hold before a message is worked on: RFC 3261 §8.1.1, §8.2, §16.3, and RFC 4475 for the edges.

    The mandatory header fields are there and well-formed, none of those that may stand once is repeated, CSeq fits the
    method, Max-Forwards is a number up to 255, addresses that routing depends on can be read. What a UAS supports is
    another question, see `refusal`. Raises `RemoteProtocolError`: answer requests with its status, drop responses.
    """
    try:
        _validate(message)
    except RemoteProtocolError as error:
        if isinstance(message, Request):
            error.method, error.headers = message.method, message.headers
        raise


def _validate(message: Message) -> None:
    headers = message.headers
    for key in headers.repeated():
        if key in _ONCE:
            raise RemoteProtocolError("a header field that may stand once is repeated")
    cseq = message.cseq
    message.vias  # noqa: B018 - typed properties raise; reading them is the check
    message.from_  # noqa: B018
    message.to  # noqa: B018
    message.call_id  # noqa: B018
    if headers.has("record-route"):
        message.record_routes  # noqa: B018
    if headers.has("contact"):
        _validate_contact(message)
    if isinstance(message, Response):
        return
    if cseq.method != message.method:
        raise RemoteProtocolError("CSeq names another method than the request line")
    _validate_target(message.uri)
    message.max_forwards  # noqa: B018
    if headers.has("route"):
        message.routes  # noqa: B018


def _validate_target(uri: Uri) -> None:
    if not isinstance(uri, SipUri):
        return
    if uri.headers:
        raise RemoteProtocolError("headers in the Request-URI")  # RFC 3261 §19.1.1, table 1
    if uri.user is not None and has_control(uri.user):
        raise RemoteProtocolError("nobody has a control character in their name", status=404)


def _validate_contact(message: Message) -> None:
    if not message.contact_is_star:
        message.contacts  # noqa: B018
        return
    # RFC 3261 §10.3 step 6: '*' removes all bindings, and nothing else.
    if isinstance(message, Request) and (message.method != "REGISTER" or message.expires != 0):
        raise RemoteProtocolError("Contact '*' without Expires 0 in a REGISTER")
