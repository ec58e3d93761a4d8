"""The lexical ground of RFC 3261 §25.1 that several header fields share: tokens, quoted strings, lists, escapes.

All of it is linear in the length of its input: no pattern here can backtrack over what it has consumed, and an
unclosed quote or bracket is an error where it is met.
"""

from __future__ import annotations

import re

from sent.sip.errors import RemoteProtocolError

TOKEN = r"[A-Za-z0-9\-.!%*_+`'~]+"  # noqa: S105 - a production of the grammar, no credential
is_token = re.compile(TOKEN).fullmatch

_QUOTED_BODY = r'[^"\\]*(?:\\.[^"\\]*)*'
match_quoted = re.compile(f'"({_QUOTED_BODY})"', re.DOTALL).match
"""Matches one quoted string at a position; group 1 is its inside, still escaped."""

# The closing mark is optional, so that an unclosed one ends the scan at once instead of being tried again further on.
_LIST_MARKS = re.compile(rf'"{_QUOTED_BODY}("?)|<[^>]*(>?)|,', re.DOTALL)
_PARAM_MARKS = re.compile(rf'"{_QUOTED_BODY}("?)|;', re.DOTALL)
_QUOTED_PAIR = re.compile(r"\\(.)", re.DOTALL)
_ESCAPE_RUN = re.compile(r"(?:%[0-9A-Fa-f]{2})+")
_BAD_ESCAPE = re.compile(r"%(?![0-9A-Fa-f]{2})")
_CONTROL = re.compile(r"[\x00-\x08\x0a-\x1f\x7f]")
has_control = _CONTROL.search
"""Finds a control character other than TAB."""

MAX_UINT31 = 2**31 - 1
MAX_UINT32 = 2**32 - 1


def _split(text: str, marks: re.Pattern[str]) -> list[str]:
    parts = []
    start = 0
    for mark in marks.finditer(text):
        found = mark[0]
        if len(found) == 1 and found in ",;":
            parts.append(text[start : mark.start()].strip(" \t"))
            start = mark.end()
        elif found[0] == '"' and not mark[1]:
            raise RemoteProtocolError("unbalanced quotation marks")
        elif found[0] == "<" and not mark[2]:
            raise RemoteProtocolError("unbalanced angle brackets")
    parts.append(text[start:].strip(" \t"))
    return parts


def split_list(text: str) -> list[str]:
    """Split a header value on the commas that are neither quoted nor inside ``<>``. Empty elements are kept."""
    if "," not in text:
        return [text.strip(" \t")]
    return _split(text, _LIST_MARKS)


def split_params(text: str) -> list[str]:
    """Split on the semicolons that are not quoted. Empty elements are kept."""
    if '"' not in text:
        return [part.strip(" \t") for part in text.split(";")]
    return _split(text, _PARAM_MARKS)


def unquote(inside: str) -> str:
    """The text of a quoted string, given without its quotation marks."""
    return _QUOTED_PAIR.sub(r"\1", inside) if "\\" in inside else inside


def quote(text: str) -> str:
    """``text`` as a quoted string. Line ends, which no quoted string may hold, become spaces."""
    if "\r" in text or "\n" in text:
        text = text.replace("\r", " ").replace("\n", " ")
    text = text.replace("\\", "\\\\").replace('"', '\\"')
    return '"' + _CONTROL.sub(lambda match: "\\" + match[0], text) + '"'


def parse_quoted(text: str) -> str:
    """The value of ``text``, which must be exactly one quoted string."""
    match = match_quoted(text)
    if match is None or match.end() != len(text):
        raise RemoteProtocolError("malformed quoted string")
    return unquote(match[1])


def _decode_run(match: re.Match[str]) -> str:
    octets = bytes.fromhex(match[0].replace("%", ""))
    try:
        return octets.decode()
    except UnicodeDecodeError:
        return octets.decode("latin-1")  # older phones escape ISO 8859-1; text stays encodable everywhere


def unescape(text: str) -> str:
    """Undo ``%HH`` (UTF-8, else ISO 8859-1). Raises `RemoteProtocolError` for a ``%`` without two hex digits."""
    if "%" not in text:
        return text
    if _BAD_ESCAPE.search(text):
        raise RemoteProtocolError("malformed %-escape in a URI")
    return _ESCAPE_RUN.sub(_decode_run, text)


def parse_uint(text: str, what: str, limit: int = MAX_UINT32) -> int:
    """Decimal digits up to ``limit``. Leading zeros are fine; a sign, other digits or more than that are not."""
    digits = text.lstrip("0") or text[-1:]
    if not text.isascii() or not text.isdigit() or len(digits) > 10:
        raise RemoteProtocolError(f"{what} is not a number in range")
    value = int(digits)
    if value > limit:
        raise RemoteProtocolError(f"{what} is not a number in range")
    return value
