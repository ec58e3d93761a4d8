"""The one base error.

    SentError
    ├── BadInput          400  the caller sent something that we cannot accept
    ├── NotAuthenticated  401  who is asking is not known
    ├── NotAllowed        403  known, but may not
    ├── NotFound          404  no such thing, or it belongs to another organization
    ├── Conflict          409  the state does not permit it
    ├── LimitReached      429  a limit that protects money or the machine
    └── Unavailable       503  something that we need is not there now

Each has a stable ``code`` for programs and a message for people that names the remedy.
"""

from __future__ import annotations

from collections.abc import Mapping


class SentError(Exception):
    """Base of all errors that a person or a program outside may see.

    ``code`` is stable, lower case, dotted (``trunk.limit_reached``). ``message`` says what is wrong and
    what to do. ``details`` never holds a secret.
    """

    http_status = 500

    def __init__(self, code: str, message: str, /, **details: object) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.details: Mapping[str, object] = details

    def __str__(self) -> str:
        return f"{self.message} [{self.code}]"


class BadInput(SentError):
    http_status = 400


class NotAuthenticated(SentError):
    http_status = 401


class NotAllowed(SentError):
    http_status = 403


class NotFound(SentError):
    http_status = 404


class Conflict(SentError):
    http_status = 409


class LimitReached(SentError):
    http_status = 429


class Unavailable(SentError):
    http_status = 503
