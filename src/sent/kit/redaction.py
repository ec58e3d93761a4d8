"""What may stand in a log: the last two digits of a number, never more; no secret; no body.

`redact_number` is for a value that is known to be a number, `redact_text` for free text, where a number has
to look like one: a ``+`` with five digits, the user of a ``sip:`` or ``tel:`` URI, seven digits alone, or seven with a
zero in front and blanks, strokes or brackets between them.
Ports, statuses, counts, UUIDs and addresses stay readable.
"""

from __future__ import annotations

import re

HIDDEN = "[hidden]"

_DIGITS = re.compile(r"\+\d(?:[\s().\-/]{0,2}\d){4,}|\d(?:[\s()\-/]{0,2}\d){4,}")
_PLUS_NUMBER = re.compile(r"\+\d(?:[\s()./-]{0,2}\d){4,}")
_NATIONAL_NUMBER = re.compile(r"(?:(?<![\w.:-])|(?<=tel:|sip:))0(?:[\s()\-/]{0,2}\d){6,}(?![\w-])")
_URI_USER = re.compile(
    r"\b(tel:|sips?:(?=[^\s@<>]{1,200}@))(\+?[\d()./-]{5,})",  # with a user: sip:192.0.2.1 has none
    re.IGNORECASE,
)
_UUID_OR_NUMBER = re.compile(
    r"\b[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}\b|(?<![^\W_])(?<!\.)(\d{7,})(?![^\W_]|\.\d)",
    re.IGNORECASE,
)
_CREDENTIAL_HEADER = re.compile(r"\b((?:proxy-)?authorization|cookie|set-cookie)(\s*:\s*)[^\r\n]*", re.IGNORECASE)
_BEARER = re.compile(r"\b(bearer|basic)\s+[\w.~+/=-]{6,}", re.IGNORECASE)
_ASSIGNED = re.compile(r"(password|passwd|secret|token|api[_-]?key)([\"']?\s*[=:]\s*[\"']?)[^\s\"',;&]+", re.IGNORECASE)
_URL_PASSWORD = re.compile(r"(\b[a-z][\w+.-]{0,20}://[^\s:/@]{0,200}):[^\s/@]{1,200}@", re.IGNORECASE)
_SDES_KEY = re.compile(r"\binline:[\w+/=|:^]+")
_BODY = re.compile(r"\r?\n\r?\n(?=\S).*", re.DOTALL)
_SIP_START = re.compile(r"\ASIP/2\.0 \d{3} |\A[A-Z]+ \S+ (?:SIP/2\.0|HTTP/1\.[01])\r?\n")


def redact_number(number: str) -> str:
    """``+4930123456`` → ``+…56``; short extensions (under five digits) stay as they are."""
    return _DIGITS.sub(lambda m: _tail(m[0]), number)


def redact_text(text: str) -> str:
    """Free text without numbers, credentials, media keys, or the body of a SIP or HTTP message."""
    if _SIP_START.match(text):
        text = _BODY.sub(lambda m: f" [body hidden, {len(m[0].strip())} characters]", text)
    text = _CREDENTIAL_HEADER.sub(rf"\1\2{HIDDEN}", text)
    text = _BEARER.sub(rf"\1 {HIDDEN}", text)
    text = _ASSIGNED.sub(rf"\1\2{HIDDEN}", text)
    text = _URL_PASSWORD.sub(rf"\1:{HIDDEN}@", text)
    text = _SDES_KEY.sub(f"inline:{HIDDEN}", text)
    text = _PLUS_NUMBER.sub(lambda m: _tail(m[0]), text)
    text = _NATIONAL_NUMBER.sub(lambda m: _tail(m[0]), text)
    text = _URI_USER.sub(lambda m: m[1] + _tail(m[2]), text)
    return _UUID_OR_NUMBER.sub(lambda m: _tail(m[0]) if m[1] else m[0], text)


def _tail(number: str) -> str:
    digits = [c for c in number if c.isdigit()]
    if len(digits) < 5:
        return number
    return ("+…" if number.startswith("+") else "…") + "".join(digits[-2:])
