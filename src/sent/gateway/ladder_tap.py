"""Keeps the SIP messages of each call, so that a person can see what was said. Bounded; no secrets.

Fed by the agent's trace for every message in and out; read once, when the call's record is written. What a
credential could be computed from (digest responses and challenges, SDES keys) is struck out on the way in.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from dataclasses import dataclass, field

MAX_CALLS = 5_000
MAX_MESSAGES = 200
MAX_OCTETS = 8_192


@dataclass(frozen=True, slots=True)
class LadderMessage:
    """``at`` is on the gateway's clock. ``text`` is the message as sent or received, cut to `MAX_OCTETS`."""

    at: float
    sent: bool
    transport: str
    local: str
    remote: str
    text: str


@dataclass(slots=True)
class _Ladder:
    messages: list[LadderMessage] = field(default_factory=list)
    left_out: int = 0


class LadderTap:
    """Messages by SIP Call-ID. Only Call-IDs that were opened are kept: REGISTER and scanners leave nothing."""

    def __init__(self, max_calls: int = MAX_CALLS, max_messages: int = MAX_MESSAGES) -> None:
        self._max_calls = max_calls
        self._max_messages = max_messages
        self._ladders: OrderedDict[str, _Ladder] = OrderedDict()

    def open(self, call_id: str) -> None:
        """Keep what belongs to this Call-ID from now on; the oldest open one gives way when there are too many."""
        self._ladders.setdefault(call_id, _Ladder())
        while len(self._ladders) > self._max_calls:
            self._ladders.popitem(last=False)

    def add(self, call_id: str, message: LadderMessage) -> None:
        ladder = self._ladders.get(call_id)
        if ladder is None:
            return
        if len(ladder.messages) >= self._max_messages:
            ladder.left_out += 1
            return
        ladder.messages.append(message)

    def take(self, call_id: str) -> tuple[list[LadderMessage], int]:
        """The messages of a Call-ID and how many more there were; forgets them."""
        ladder = self._ladders.pop(call_id, None)
        return (ladder.messages, ladder.left_out) if ladder else ([], 0)

    def peek(self, call_id: str) -> list[LadderMessage]:
        """The messages so far of a call that still runs."""
        ladder = self._ladders.get(call_id)
        return list(ladder.messages) if ladder else []

    def __len__(self) -> int:
        return len(self._ladders)


_SECRET_HEADER = re.compile(
    r"^((?:proxy-)?(?:authorization|authenticate)|authentication-info)(\s*:\s*\w*)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_SDES_KEY = re.compile(r"(inline:)[^\s|;]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """``text`` of a message with digests and media keys struck out."""
    text = _SECRET_HEADER.sub(lambda m: f"{m[1]}{m[2]} …", text[:MAX_OCTETS])
    return _SDES_KEY.sub(r"\1…", text)
