"""Takes numbers, secrets and bodies out of a log event. Pure; the last step before an event is written.

By the name of a field:
    a secret (``password``, ``api_token``, ``authorization``, ``sealed_key`` …)   hidden, whatever it is
    a body (``body``, ``sdp``, ``payload`` …)                                     its length
    a number (``caller``, ``dialed`` …)                                           the last two digits
    an id (``…_id``, ``branch`` …)                                                as it is
    anything else                                                                 as free text (`redact_text`)

Control characters are written as what they are (``\\n``, ``\\x1b``), so that nobody outside can begin a line of the log
or move the cursor of the terminal that shows it; the lines of a traceback after its first are indented for that reason.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, MutableMapping
from typing import Any

from sent.kit.redaction import HIDDEN, redact_number, redact_text

_SECRET = re.compile(
    r"(?:^|_)(?:password|passwd|secret|token|authorization|cookie|credentials?|key|keys|nonce|cnonce|ha1|dsn)(?:_|$)"
    r"|^sealed_|^secret_",
    re.IGNORECASE,
)
_NOT_SECRET = frozenset({"key_id", "secret_name", "token_kind"})
_BODY = frozenset({"body", "sdp", "payload", "content", "data", "pcm", "text"})
_NUMBER = frozenset(
    {"number", "numbers", "caller", "callee", "dialed", "dialled", "caller_id", "from", "to", "phone", "extension"}
)
_ID = re.compile(r"(?:^|_)(?:id|ids|sid|branch|tag)$", re.IGNORECASE)
_UNTOUCHED = frozenset({"timestamp", "level", "logger"})
_LINES = frozenset({"exception", "stack"})
_CONTROL = re.compile("[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")
_MAX_DEPTH = 6
_MAX_ID_CHARACTERS = 256
_MAX_CHARACTERS = 16_384
"""Of one field: a log line must not become as long as what a stranger sends."""


def redact_event(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """A structlog processor."""
    for name, value in list(event.items()):
        shown = _visible(redact_text(name))
        if shown != name:
            del event[name]
        event[shown] = redact_field(name, value)
    return event


def redact_field(name: str, value: object, depth: int = 0) -> object:
    """What may be written of ``value`` under ``name``."""
    plain = name.lower().replace("-", "_")
    if plain in _UNTOUCHED or value is None or isinstance(value, bool):
        return value
    if plain not in _NOT_SECRET and _SECRET.search(plain):
        return HIDDEN
    if plain in _BODY:
        return f"[hidden, {len(value)} long]" if isinstance(value, str | bytes) else HIDDEN
    if plain in _NUMBER:
        return _each(value, redact_number)
    if _ID.search(plain):
        return value if isinstance(value, int) else _each(value, str)
    if plain in _LINES:
        return "\n    ".join(_visible(line) for line in _long(str(value)).splitlines())
    return _free(value, depth)


def _each(value: object, redact: Any) -> object:
    if isinstance(value, list | tuple | set | frozenset):
        return [_each(item, redact) for item in value]
    text = str(value)
    cut = text if len(text) <= _MAX_ID_CHARACTERS else f"{text[:_MAX_ID_CHARACTERS]}…"
    return _visible(redact(cut))


def _free(value: object, depth: int) -> object:
    if isinstance(value, int | float):
        return value
    if depth > _MAX_DEPTH:
        return "[too deep]"
    if isinstance(value, bytes | bytearray | memoryview):
        return f"[{len(value)} octets]"
    if isinstance(value, Mapping):
        return {_visible(redact_text(str(key))): redact_field(str(key), item, depth + 1) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_free(item, depth + 1) for item in value]
    return _visible(_long(str(value)))


def _long(text: str) -> str:
    if len(text) > _MAX_CHARACTERS:
        return f"{redact_text(text[:_MAX_CHARACTERS])} [and {len(text) - _MAX_CHARACTERS} characters more]"
    return redact_text(text)


def _visible(text: str) -> str:
    return _CONTROL.sub(lambda m: m[0].encode("unicode_escape").decode(), text)
