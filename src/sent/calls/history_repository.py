"""The queries of `history`, and the rows that they return."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, LiteralString
from uuid import UUID


@dataclass(frozen=True, slots=True)
class CallRow:
    """One line of a list. ``codec`` and ``mos`` are those of the leg that was talked to, the worst one for MOS."""

    id: UUID
    state: str
    direction: str | None
    dialed: str
    caller_kind: str
    caller_number: str
    caller_name: str
    callee_kind: str | None
    callee_number: str | None
    callee_name: str | None
    started_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    disposition: str | None
    end_code: str | None
    end_words: str | None
    end_by: str | None
    end_blame: str | None
    end_status: int | None
    end_reason: str | None
    end_warning: str | None
    recording_id: UUID | None
    recording_error: str | None
    flags: list[str]
    digits: int
    ignored_events: int
    states: list[dict[str, Any]]
    codec: str | None
    mos: float | None


@dataclass(frozen=True, slots=True)
class LegRow:
    id: UUID
    role: str
    party_kind: str
    party_number: str
    party_name: str
    party_user_id: UUID | None
    party_device_id: UUID | None
    party_trunk_id: UUID | None
    state: str
    signalling_id: str
    provider_sid: str | None
    transport: str
    remote_address: str
    user_agent: str
    codec: str | None
    extra: dict[str, str]
    started_at: datetime
    ringing_at: datetime | None
    answered_at: datetime | None
    ended_at: datetime | None
    end_code: str | None
    end_words: str | None
    end_by: str | None
    end_status: int | None
    end_reason: str | None
    end_warning: str | None
    quality: dict[str, Any] | None
    flags: list[str]
    digits: int


@dataclass(frozen=True, slots=True)
class LadderRow:
    messages: list[dict[str, Any]]
    omitted: int


_COLUMNS: LiteralString = """
  c.id, c.state, c.direction, c.dialed, c.caller_kind, c.caller_number, c.caller_name,
  c.callee_kind, c.callee_number, c.callee_name, c.started_at, c.ringing_at, c.answered_at, c.ended_at,
  c.disposition, c.end_code, c.end_words, c.end_by, c.end_blame, c.end_status, c.end_reason, c.end_warning,
  c.recording_id, c.recording_error, c.flags, c.digits, c.ignored_events, c.states, l.codec, l.mos
FROM calls c
LEFT JOIN LATERAL (
  SELECT max(codec) FILTER (WHERE answered_at IS NOT NULL) AS codec,
         min((quality ->> 'mos')::float8) AS mos
  FROM call_legs WHERE call_id = c.id) l ON true
"""

LIST_CALLS_SQL: LiteralString = (
    "SELECT"
    + _COLUMNS
    + """WHERE c.organization_id = %(organization_id)s
  AND (%(before)s::uuid IS NULL OR c.id < %(before)s)
  AND (%(live)s::boolean IS NULL OR (c.ended_at IS NULL) = %(live)s)
  AND (%(since)s::timestamptz IS NULL OR c.started_at >= %(since)s)
  AND (%(until)s::timestamptz IS NULL OR c.started_at < %(until)s)
  AND (%(direction)s::text IS NULL OR c.direction = %(direction)s)
  AND (%(disposition)s::text IS NULL OR c.disposition = %(disposition)s)
  AND (%(end_code)s::text IS NULL OR c.end_code = %(end_code)s)
  AND (%(number)s::text IS NULL OR %(number)s IN (c.caller_number, c.callee_number, c.dialed))
  AND (%(user_id)s::uuid IS NULL OR %(user_id)s IN (c.caller_user_id, c.callee_user_id))
ORDER BY c.id DESC LIMIT %(limit)s"""
)

GET_CALL_SQL: LiteralString = "SELECT" + _COLUMNS + "WHERE c.organization_id = %(organization_id)s AND c.id = %(id)s"

FIND_CALL_SQL: LiteralString = """
SELECT id FROM calls
WHERE organization_id = %(organization_id)s AND (id::text LIKE %(part)s || '%%' OR id::text LIKE '%%' || %(part)s)
ORDER BY id DESC LIMIT 2"""

LIST_LEGS_SQL: LiteralString = """
SELECT id, role, party_kind, party_number, party_name, party_user_id, party_device_id, party_trunk_id, state,
  signalling_id, provider_sid, transport, remote_address, user_agent, codec, extra, started_at, ringing_at,
  answered_at, ended_at, end_code, end_words, end_by, end_status, end_reason, end_warning, quality, flags, digits
FROM call_legs WHERE organization_id = %(organization_id)s AND call_id = %(id)s ORDER BY position"""

GET_LADDER_SQL: LiteralString = """
SELECT secret_messages AS messages, omitted FROM call_ladder
WHERE organization_id = %(organization_id)s AND id = %(id)s"""
