"""Keeps the SIP messages of each call, so that a person can see what was said. Bounded; no secrets.

Fed by the agent's trace for every message in and out; read once, when the call's record is written. What a
credential could be computed from (digest responses and challenges, SDES keys) is struck out on the way in.
"""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime

from sent.calls.models import LadderMessage
from sent.sip.config import Trace
from sent.sip.host import format_host
from sent.sip.message import Request, Response

MAX_CALLS = 5_000
MAX_ON_PROBATION = 200
MAX_MESSAGES = 200
MAX_OCTETS = 8_192


@dataclass(slots=True)
class _Ladder:
    messages: list[LadderMessage] = field(default_factory=list)
    left_out: int = 0


class LadderTap:
    """Messages by SIP Call-ID; a `calls.tools.LadderPort`. Give `trace` to `AgentConfig.trace`.

    A Call-ID is kept from its first INVITE. One that comes in is on probation, among few others, until we say that it
    rings or is answered: so a flood of INVITEs neither costs memory nor pushes out a real call's ladder.
    """

    def __init__(
        self,
        max_calls: int = MAX_CALLS,
        max_messages: int = MAX_MESSAGES,
        wall: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._wall = wall
        self._max_calls = max_calls
        self._max_messages = max_messages
        self._ladders: OrderedDict[str, _Ladder] = OrderedDict()
        self._probation: OrderedDict[str, _Ladder] = OrderedDict()
        self._taken: OrderedDict[str, None] = OrderedDict()
        """Of late: what is still repeated of a call that has its record would begin a ladder that nobody reads."""

    def trace(self, trace: Trace) -> None:
        """Take note of one message in or out."""
        message = trace.message
        call_id = message.headers.get("call-id") or ""
        ladder = self._ladders.get(call_id) or self._probation.get(call_id)
        if ladder is None:
            if not call_id or not isinstance(message, Request) or message.method != "INVITE":
                return
            if call_id in self._taken:
                return
            ladder = _Ladder()
            if trace.direction == "out":
                _put(self._ladders, call_id, ladder, self._max_calls)
            else:
                _put(self._probation, call_id, ladder, MAX_ON_PROBATION)
        if len(ladder.messages) >= self._max_messages:
            ladder.left_out += 1
            return
        if isinstance(message, Response) and trace.direction == "out" and 100 < message.status < 300:
            self._keep(call_id)
        host, port = trace.peer.remote
        text = redacted(message.to_bytes()[:MAX_OCTETS].decode("utf-8", "replace"))
        remote = f"{trace.peer.transport} {format_host(host)}:{port}"
        ladder.messages.append(LadderMessage(self._wall(), call_id, trace.direction == "out", remote, text))

    def _keep(self, call_id: str) -> None:
        ladder = self._probation.pop(call_id, None)
        if ladder is not None:
            _put(self._ladders, call_id, ladder, self._max_calls)

    def take(self, signalling_id: str) -> tuple[list[LadderMessage], int]:
        """The messages of a Call-ID and how many more there were; forgets them, and takes no more."""
        self._taken[signalling_id] = None
        if len(self._taken) > self._max_calls:
            self._taken.popitem(last=False)
        ladder = self._ladders.pop(signalling_id, None) or self._probation.pop(signalling_id, None)
        return (ladder.messages, ladder.left_out) if ladder else ([], 0)

    def __len__(self) -> int:
        return len(self._ladders) + len(self._probation)


def _put(ladders: OrderedDict[str, _Ladder], call_id: str, ladder: _Ladder, most: int) -> None:
    ladders[call_id] = ladder
    while len(ladders) > most:
        ladders.popitem(last=False)


_SECRET_HEADER = re.compile(
    r"^((?:proxy-)?(?:authorization|authenticate)|authentication-info)(\s*:\s*\w*)[^\r\n]*(?:\r?\n[ \t][^\r\n]*)*",
    re.IGNORECASE | re.MULTILINE,
)
_SDES_KEY = re.compile(r"(inline:)[^\s|;]+", re.IGNORECASE)


def redacted(text: str) -> str:
    """``text`` of a message with digests and media keys struck out."""
    text = _SECRET_HEADER.sub(lambda m: f"{m[1]}{m[2]} …", text)
    return _SDES_KEY.sub(r"\1…", text)
