"""Gathers the SIP messages of a call's legs into one ladder that is bounded and holds no credentials."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace

from sent.calls.models import Ladder, LadderMessage
from sent.calls.tools import LadderPort

MAX_MESSAGES = 300
MAX_OCTETS = 256 * 1024

_CREDENTIALS = re.compile(r"^((?:proxy-)?authorization[ \t]*:).*(?:\r?\n[ \t].*)*", re.IGNORECASE | re.MULTILINE)
_PRESSED = re.compile(
    r"(\A.*?^(?:content-type|c)[ \t]*:[ \t]*application/dtmf\b.*?\r?\n\r?\n).+",
    re.IGNORECASE | re.MULTILINE | re.DOTALL,
)
_MEDIA_KEY = re.compile(r"(inline:)[^\s|;]+", re.IGNORECASE)


def without_secrets(text: str) -> str:
    """Digest responses, SDES keys and pressed digits (a PIN, a card's number) struck out; NUL, which no database text
    can hold, too."""
    text = _CREDENTIALS.sub(r"\1 …", text.replace("\0", "\N{REPLACEMENT CHARACTER}"))
    text = _PRESSED.sub(r"\1…", text)
    return _MEDIA_KEY.sub(r"\1…", text)


def gather(port: LadderPort, signalling_ids: Iterable[str]) -> Ladder | None:
    """All messages of these Call-IDs in the order of time; the first ones are kept, the rest counted."""
    messages: list[LadderMessage] = []
    omitted = 0
    for signalling_id in dict.fromkeys(signalling_ids):
        if signalling_id:
            taken, lost = port.take(signalling_id)
            messages.extend(taken)
            omitted += lost
    if not messages and not omitted:
        return None
    messages.sort(key=lambda message: message.at)
    kept: list[LadderMessage] = []
    octets = 0
    for message in messages:
        clean = replace(message, text=without_secrets(message.text))
        octets += len(clean.text.encode())
        if len(kept) >= MAX_MESSAGES or octets > MAX_OCTETS:
            break
        kept.append(clean)
    return Ladder(tuple(kept), omitted + len(messages) - len(kept))
