"""Draws the SIP ladder of a call as text. Pure: values and a width in, lines out.

                Alice                             SENT                              Bob
           192.0.2.10:5060                                                   192.0.2.20:5060
                  │                                 │                                │
      +0.000      │── INVITE 102 ──────────────────►│                                │
                  │   SDP PCMA PCMU, 192.0.2.10:4000│                                │
      +0.012      │                                 │── INVITE 102 ─────────────────►│

One column per party, SENT between the caller and everyone who was rung. Times count from the first message or state.
"""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sent.calls.models import LadderMessage
from sent.calls.sip_summary import printable, summarize

MAX_LANES = 6
_FIRST_LANE = 16
_RIGHT_MARGIN = 11
_MIN_STEP = 14
_MAX_STEP = 44
_MAX_NOTE_LINES = 3


@dataclass(frozen=True, slots=True)
class Lane:
    """A party: its name over its address; the messages of these Call-IDs end in it."""

    name: str
    address: str
    signalling_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to the call itself: it is drawn on SENT's line."""

    at: datetime
    words: str


@dataclass(frozen=True, slots=True)
class _Pen:
    line: str
    dash: str
    right: str
    left: str
    cross: str
    dots: str
    open: str
    close: str
    again: str


_UNICODE = _Pen("│", "─", "►", "◄", "┼", "…", "┤ ", " ├", "↻ ")
_ASCII = _Pen("|", "-", ">", "<", "+", "...", "[ ", " ]", "again: ")


def draw(
    caller: Lane,
    callees: Sequence[Lane],
    messages: Sequence[LadderMessage],
    marks: Sequence[Mark] = (),
    *,
    width: int = 100,
    ascii_only: bool = False,
) -> str:
    """The ladder, lines of at most ``width`` (at least 60) columns. Legs beyond `MAX_LANES`, or beyond what
    the width has room for, share the last column."""
    return _Drawing(caller, callees, max(width, 60), _ASCII if ascii_only else _UNICODE).draw(messages, marks)


class _Drawing:
    def __init__(self, caller: Lane, callees: Sequence[Lane], width: int, pen: _Pen) -> None:
        room = min(MAX_LANES, 1 + (width - _FIRST_LANE - _RIGHT_MARGIN) // _MIN_STEP)
        shown = list(callees[: room - 2])
        further = callees[len(shown) :]
        if further:
            shown[-1] = Lane(f"{shown[-1].name} +{len(further)}", "", shown[-1].signalling_id)
        self._pen = pen
        self._width = width
        self._heads = [(caller.name, caller.address), ("SENT", ""), *((lane.name, lane.address) for lane in shown)]
        self._lane_of = {lane.signalling_id: 2 + index for index, lane in enumerate(shown)}
        self._lane_of |= {lane.signalling_id: 1 + len(shown) for lane in further}
        self._lane_of[caller.signalling_id] = 0
        self._last = len(self._heads) - 1
        step = min((width - _FIRST_LANE - _RIGHT_MARGIN) / max(self._last, 1), _MAX_STEP)
        self._x = [round(_FIRST_LANE + step * index) for index in range(len(self._heads))]

    def draw(self, messages: Sequence[LadderMessage], marks: Sequence[Mark]) -> str:
        moments = [m.at for m in messages] + [m.at for m in marks]
        if not moments:
            return "(no SIP message was kept)"
        start = min(moments)
        lines = [self._head(index) for index in range(2)]
        lines.append(self._text(self._lanes()))
        seen: set[tuple[bool, str, str]] = set()
        # A state follows from the message of the same instant, so messages come first.
        events: list[tuple[datetime, int, LadderMessage | Mark]] = [(m.at, 0, m) for m in messages]
        events += [(m.at, 1, m) for m in marks]
        for at, _, event in sorted(events, key=lambda e: e[:2]):
            if isinstance(event, Mark):
                lines.append(self._mark((at - start).total_seconds(), event.words))
                continue
            key = (event.sent, event.signalling_id, event.text)
            lines += self._message((at - start).total_seconds(), event, again=key in seen)
            seen.add(key)
        lines.append(self._text(self._lanes()))
        return "\n".join(lines)

    # -- lines ----------------------------------------------------------------------------------------------------

    def _head(self, row: int) -> str:
        cells = [" "] * self._width
        room = (self._x[1] - self._x[0] - 2) if self._last else self._width
        for x, head in zip(self._x, self._heads, strict=True):
            text = self._fit(head[row], room)
            start = min(max(x - len(text) // 2, 0), self._width - len(text))
            cells[start : start + len(text)] = text
        return self._text(cells)

    def _lanes(self, seconds: float | None = None) -> list[str]:
        cells = [" "] * self._width
        for x in self._x:
            cells[x] = self._pen.line
        if seconds is not None:
            stamp = f"{seconds:+.3f}" if seconds < 3600 else f"{seconds:+.1f}"
            cells[: len(stamp) + 2] = f"  {stamp}"
        return cells

    def _mark(self, seconds: float, words: str) -> str:
        cells = self._lanes(seconds)
        room = 2 * min(self._x[1] - self._x[0], self._width - self._x[1]) - 8
        text = self._pen.open + self._fit(words, room) + self._pen.close
        start = self._x[1] - len(text) // 2
        cells[start : start + len(text)] = text
        return self._text(cells)

    def _message(self, seconds: float, message: LadderMessage, *, again: bool) -> list[str]:
        pen = self._pen
        lane = self._lane_of.get(message.signalling_id, self._last)
        to_right = (lane > 1) is message.sent
        left, right = sorted((self._x[1], self._x[lane]))
        cells = self._lanes(seconds)
        for x in range(left + 1, right):
            cells[x] = pen.cross if x in self._x else pen.dash
        cells[right - 1 if to_right else left + 1] = pen.right if to_right else pen.left
        summary = summarize(message.text)
        title = (pen.again if again else "") + summary.title
        # The title stands beside SENT's line or the caller's, where the eye is; lanes in between stay crossed.
        near = min(x for x in self._x if x > left)
        title = " " + self._fit(title, (near if near < right else right) - left - 8) + " "
        cells[left + 4 : left + 4 + len(title)] = title
        lines = [self._text(cells)]
        if again:
            return lines
        room = near - left - 5
        for note in summary.notes:
            for part in self._wrap(note, room):
                cells = self._lanes()
                cells[left + 5 : left + 5 + len(part)] = part
                lines.append(self._text(cells))
        return lines

    def _wrap(self, note: str, room: int) -> list[str]:
        parts = textwrap.wrap(self._plain(note), max(room, 10))
        if len(parts) > _MAX_NOTE_LINES:
            parts = [*parts[: _MAX_NOTE_LINES - 1], self._fit(" ".join(parts[_MAX_NOTE_LINES - 1 :]), max(room, 10))]
        return parts

    def _fit(self, text: str, room: int) -> str:
        text = self._plain(text)
        if len(text) <= room:
            return text
        return text[: max(room - len(self._pen.dots), 0)] + self._pen.dots

    def _plain(self, text: str) -> str:
        text = printable(text)
        return text if self._pen is _UNICODE else text.encode("ascii", "replace").decode("ascii")

    def _text(self, cells: list[str]) -> str:
        return "".join(cells[: self._width]).rstrip()
