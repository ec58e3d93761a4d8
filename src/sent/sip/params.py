"""Parameters, as URIs and header values carry them: ``;name=value`` in order, names compared without case."""

from __future__ import annotations

import re
from dataclasses import dataclass

from sent.sip.errors import RemoteProtocolError
from sent.sip.grammar import TOKEN, is_token, parse_quoted, quote, split_params

# gen-value (RFC 3261 §25.1): token or host; '/', '=', ':' and the like are met unquoted often enough to be taken too.
_PLAIN_VALUE = re.compile(r'[^\s";,<>\\\x00-\x1f\x7f]+').fullmatch
_SAFE_VALUE = re.compile(rf"{TOKEN}|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+").fullmatch


@dataclass(frozen=True, slots=True)
class Params:
    """``items`` hold plain text: unescaped and unquoted. ``None`` is a parameter without ``=``."""

    items: tuple[tuple[str, str | None], ...] = ()

    def get(self, name: str) -> str | None:
        """The first value of ``name``; None where it is absent or has no value (see `has`)."""
        name = name.lower()
        for key, value in self.items:
            if key == name or key.lower() == name:
                return value
        return None

    def has(self, name: str) -> bool:
        name = name.lower()
        return any(key.lower() == name for key, _ in self.items)

    def with_(self, name: str, value: str | None) -> Params:
        """A copy where ``name`` has ``value``: replaced in its place, or appended."""
        lowered = name.lower()
        for index, (key, _) in enumerate(self.items):
            if key.lower() == lowered:
                return Params((*self.items[:index], (key, value), *self.items[index + 1 :]))
        return Params((*self.items, (name, value)))

    def without(self, name: str) -> Params:
        name = name.lower()
        return Params(tuple(item for item in self.items if item[0].lower() != name))

    def __bool__(self) -> bool:
        return bool(self.items)


NO_PARAMS = Params()


def parse_header_params(text: str) -> Params:
    """``text`` follows the first ``;`` of a header value. Whitespace around ``;`` and ``=`` is allowed, values may be
    quoted. Raises `RemoteProtocolError` for empty parameters and unbalanced quotes."""
    items: list[tuple[str, str | None]] = []
    for part in split_params(text):
        name, equals, value = part.partition("=")
        if equals:
            name, value = name.rstrip(" \t"), value.lstrip(" \t")
        if not is_token(name):
            raise RemoteProtocolError("malformed header parameter")
        if not equals:
            items.append((name, None))
        elif value.startswith('"'):
            items.append((name, parse_quoted(value)))
        elif _PLAIN_VALUE(value):
            items.append((name, value))
        else:
            raise RemoteProtocolError("malformed header parameter value")
    return Params(tuple(items))


def format_header_params(params: Params) -> str:
    """``;name=value…``; values that are neither a token nor an address are quoted."""
    text = ""
    for name, value in params.items:
        if value is None:
            text += f";{name}"
        else:
            text += f";{name}={value if _SAFE_VALUE(value) else quote(value)}"
    return text
