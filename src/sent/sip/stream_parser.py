"""Messages out of a stream (TCP, TLS): framing by Content-Length (RFC 3261 §18.3), keep-alive (RFC 5626 §3.5.1).

   ┌────────────┐ octets other than CRLF   ┌──────┐ empty line   ┌──────┐
──►│ between    ├─────────────────────────►│ head ├─────────────►│ body │
   │ messages   │◄──────────┐              └──┬───┘              └─┬─┬──┘
   └────────────┘           └─────────────────┼────────────────────┘ │ Content-Length octets: a message
                                              ▼                      ▼
                                            framing lost: closed for good
"""

from __future__ import annotations

from dataclasses import dataclass

from sent.sip.errors import RemoteProtocolError
from sent.sip.message import Message
from sent.sip.parser import MAX_MESSAGE, Head, blame, content_length, parse_head


@dataclass(frozen=True, slots=True)
class KeepAlive:
    """``ping`` (CRLFCRLF) is to be answered with a CRLF; otherwise it is such an answer, or part of a ping that is
    still on its way, and the flow is alive either way. At most one comes out of each call of `feed`."""

    ping: bool


@dataclass(frozen=True, slots=True)
class MalformedMessage:
    """``fatal``: where the next message begins is not known. Answer it if possible, then close the connection."""

    error: RemoteProtocolError
    fatal: bool


class StreamParser:
    """One per connection. Holds at most one message; after a fatal error it swallows everything."""

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        """Where the search for the empty line goes on, so that a trickle of octets stays linear."""
        self._line_ends = 0
        """Octets of CRLF met since the last message, 0 to 3."""
        self._head: Head | None = None
        self._head_error: RemoteProtocolError | None = None
        self._body_length = 0
        self.closed = False

    def feed(self, data: bytes) -> list[Message | KeepAlive | MalformedMessage]:
        """What ``data`` completes, in order. Bounded: of many keep-alives one is reported."""
        out: list[Message | KeepAlive | MalformedMessage] = []
        if self.closed:
            return out
        self._buffer += data
        position = 0
        while not self.closed:
            if self._head is None:
                position = self._skip_line_ends(position, out)
                position, more = self._read_head(position, out)
            else:
                position, more = self._read_body(position, out)
            if not more:
                break
        if self.closed:
            self._buffer.clear()
        else:
            del self._buffer[:position]
            self._searched = max(0, self._searched - position)
        return out

    def _skip_line_ends(self, position: int, out: list[Message | KeepAlive | MalformedMessage]) -> int:
        buffer = self._buffer
        pings = pongs = False
        while position < len(buffer) and buffer[position] in b"\r\n":
            expected = b"\r\n\r\n"[self._line_ends]
            self._line_ends = self._line_ends + 1 if buffer[position] == expected else 0
            if self._line_ends == 2:
                pongs = True
            elif self._line_ends == 4:
                pings, self._line_ends = True, 0
            position += 1
        if position < len(buffer):
            self._line_ends = 0
        if (pings or pongs) and not any(isinstance(item, KeepAlive) and item.ping for item in out):
            out[:] = [item for item in out if not isinstance(item, KeepAlive)]
            out.append(KeepAlive(ping=pings))
        return position

    def _read_head(self, start: int, out: list[Message | KeepAlive | MalformedMessage]) -> tuple[int, bool]:
        buffer = self._buffer
        if start == len(buffer):
            return start, False
        end = buffer.find(b"\r\n\r\n", max(start, self._searched))
        if (end if end >= 0 else len(buffer)) - start > MAX_MESSAGE:
            self._fail(RemoteProtocolError("the header is too large", status=513), out)
            return start, False
        if end < 0:
            self._searched = max(start, len(buffer) - 3)
            return start, False
        error: RemoteProtocolError | None = None
        try:
            head = parse_head(bytes(buffer[start:end]))
        except RemoteProtocolError as head_error:
            if head_error.headers is None:
                self._fail(head_error, out)
                return start, False
            error = head_error
            head = Head(head_error.headers, head_error.method)
        try:
            length = content_length(head.headers)
            if length is None:
                raise RemoteProtocolError("no Content-Length in a stream")
            if length > MAX_MESSAGE:
                raise RemoteProtocolError("the body is too large", status=513)
        except RemoteProtocolError as length_error:
            self._fail(error or blame(length_error, head), out)
            return start, False
        self._head, self._head_error, self._body_length = head, error, length
        return end + 4, True

    def _read_body(self, start: int, out: list[Message | KeepAlive | MalformedMessage]) -> tuple[int, bool]:
        head = self._head
        end = start + self._body_length
        if head is None or len(self._buffer) < end:
            return start, False
        if self._head_error is not None:
            out.append(MalformedMessage(self._head_error, fatal=False))
        else:
            out.append(head.with_body(bytes(self._buffer[start:end])))
        self._head = self._head_error = None
        self._searched = end
        return end, True

    def _fail(self, error: RemoteProtocolError, out: list[Message | KeepAlive | MalformedMessage]) -> None:
        self.closed = True
        out.append(MalformedMessage(error, fatal=True))
