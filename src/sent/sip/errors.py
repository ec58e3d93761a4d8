"""Errors of the SIP core; each blames a side.

SipError
├── RemoteProtocolError   the peer sent something illegal; carries the status to answer with
└── LocalProtocolError    we tried to do or send something illegal: a bug on our side
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from sent.kit.errors import SentError

if TYPE_CHECKING:
    from sent.sip.headers import Headers


class SipError(SentError):
    """Base of what the SIP core raises."""


class RemoteProtocolError(SipError):
    """The peer broke the protocol. Never a bug of ours, never worth a stack trace.

    ``status`` is a hint what to answer with (400, 505, 513 …); ``reason`` says in words what is wrong and may stand
    in the answer's reason phrase: it never holds text from the peer. When the head of a *request* could be read in
    spite of the error, ``method`` and ``headers`` hold it, so that the error can be answered where a Via is usable;
    both are None for responses, which are dropped (RFC 3261 §8.1.3.1), and for what was no SIP at all.
    """

    http_status = 400

    def __init__(
        self, reason: str, *, status: int = 400, method: str | None = None, headers: Headers | None = None
    ) -> None:
        super().__init__("sip.malformed", f"The peer sent malformed SIP: {reason}", status=status)
        self.status = status
        self.reason = reason
        self.method = method
        self.headers = headers


class LocalProtocolError(SipError):
    """We tried to build or do something that the protocol forbids. ``reason`` names the rule."""

    def __init__(self, reason: str) -> None:
        super().__init__("sip.illegal", f"Illegal use of the SIP core: {reason}")
        self.reason = reason
