"""What ``sent calls show ID`` prints: the call in sentences, its legs with their quality, and its SIP ladder. Pure."""

from __future__ import annotations

import textwrap
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sent.calls.history import CallDetail
from sent.calls.history_repository import CallRow, LegRow
from sent.calls.ladder import Lane, Mark, draw
from sent.calls.sip_summary import printable

_UNDRAWN_STATES = ("new", "routing")


def show(detail: CallDetail, *, width: int = 100, ascii_only: bool = False) -> str:
    """Text of at most ``width`` columns, times in UTC."""
    call = detail.call
    blocks = [_summary(call, width), *(_leg(leg, width) for leg in detail.legs)]
    if call.flags or call.recording_error:
        flags = [*call.flags, *([call.recording_error] if call.recording_error not in call.flags else [])]
        blocks.append("\n".join(_wrapped("! ", printable(flag or ""), width) for flag in flags))
    blocks.append(_ladder(detail, width, ascii_only=ascii_only))
    text = "\n\n".join(block for block in blocks if block) + "\n"
    return _to_ascii(text) if ascii_only else text


def duration(start: datetime, end: datetime) -> str:
    """``4 s``, ``2 min 05 s``, ``1 h 02 min``."""
    seconds = max(round((end - start) / timedelta(seconds=1)), 0)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        return f"{seconds // 60} min {seconds % 60:02} s"
    return f"{seconds // 3600} h {seconds % 3600 // 60:02} min"


def party(name: str | None, number: str | None) -> str:
    if name and number:
        return f"{name} ({number})"
    return name or number or "nobody"


def _summary(call: CallRow, width: int) -> str:
    rows = [
        ("Call", str(call.id)),
        ("From", party(call.caller_name, call.caller_number)),
        ("To", party(call.callee_name, call.callee_number or call.dialed) + _dialed(call)),
        ("Direction", call.direction or "not routed"),
        ("Started", _time(call.started_at)),
    ]
    if call.answered_at is not None:
        rows.append(("Answered", f"{_time(call.answered_at)}, after {duration(call.started_at, call.answered_at)}"))
    if call.ended_at is not None:
        length = f"{duration(call.answered_at, call.ended_at)} of talk" if call.answered_at else "not answered"
        rows.append(("Ended", f"{_time(call.ended_at)}, {length}"))
        rows.append(("Why", f"{call.end_words} [{call.end_code}]"))
        if call.end_status is not None:
            rows.append(("SIP status", str(call.end_status)))
        rows += [(name, value) for name, value in (("Reason", call.end_reason), ("Warning", call.end_warning)) if value]
    else:
        rows.append(("State", call.state))
    if call.recording_id is not None:
        rows.append(("Recording", str(call.recording_id)))
    if call.digits:
        rows.append(("Digits", f"{call.digits} pressed"))
    return "\n".join(_wrapped(f"{name:<11}", printable(value), width) for name, value in rows)


def _dialed(call: CallRow) -> str:
    return f", dialled as {call.dialed}" if call.callee_number not in {None, call.dialed} else ""


def _leg(leg: LegRow, width: int) -> str:
    title = f"{leg.role.capitalize()} {party(leg.party_name, leg.party_number)}"
    facts = [leg.state, leg.codec, leg.transport, leg.remote_address, leg.user_agent]
    lines = [_wrapped(f"{title}: ", ", ".join(printable(fact) for fact in facts if fact), width, indent=4)]
    if leg.signalling_id or leg.provider_sid:
        lines.append(_wrapped("    ", printable(f"Call-ID {leg.signalling_id or leg.provider_sid}"), width))
    if leg.end_words:
        status = f", SIP {leg.end_status}" if leg.end_status else ""
        lines.append(_wrapped("    ", printable(f"{leg.end_words} [{leg.end_code}{status}]"), width))
    if leg.quality is not None:
        lines += [_wrapped("    ", line, width, indent=13) for line in _quality(leg.quality)]
    return "\n".join(lines)


def _quality(q: dict[str, Any]) -> Sequence[str]:
    heard = f"from it  {q['packets_received']} packets, {q['loss_received_percent']:.1f} % lost, "
    heard += f"jitter {q['jitter_ms']:.1f} ms"
    heard += f", MOS {q['mos']:.2f} (R {q['r_factor']:.1f})" if q.get("mos") is not None else ""
    heard += f", from {q['remote']}" if q.get("remote") else ""
    sent = f"to it    {q['packets_sent']} packets, {q['loss_sent_percent']:.1f} % lost"
    sent += f", round trip {q['round_trip_ms']:.0f} ms" if q.get("round_trip_ms") is not None else ""
    sent += ", transcoded" if q.get("transcoded") else ""
    return heard, sent


def _ladder(detail: CallDetail, width: int, *, ascii_only: bool) -> str:
    if detail.ladder is None:
        return "The SIP ladder is written when the call ends." if detail.call.ended_at is None else ""
    lanes = [Lane(leg.party_name or leg.party_number, leg.remote_address, leg.signalling_id) for leg in detail.legs]
    states = [s for s in detail.call.states if s["state"] not in _UNDRAWN_STATES]
    marks = [Mark(datetime.fromisoformat(state["at"]), state["state"]) for state in states]
    if not lanes:
        return ""
    text = draw(lanes[0], lanes[1:], detail.ladder.messages, marks, width=width, ascii_only=ascii_only)
    if detail.ladder.omitted:
        text += f"\n({detail.ladder.omitted} further messages were not kept)"
    return text


def _time(at: datetime) -> str:
    return f"{at:%Y-%m-%d %H:%M:%S} UTC"


def _wrapped(start: str, text: str, width: int, *, indent: int | None = None) -> str:
    hanging = " " * (len(start) if indent is None else indent)
    return textwrap.fill(text, width, initial_indent=start, subsequent_indent=hanging, break_on_hyphens=False)


def _to_ascii(text: str) -> str:
    return text.encode("ascii", "replace").decode("ascii")
