"""From a record to the parameters of its rows. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

import msgspec
from psycopg.types.json import Jsonb

from sent.calls.ending import Ending
from sent.calls.models import CallRecord, Ladder, LegRecord
from sent.calls.party import Party

Row = dict[str, Any]
_PARTY = ("kind", "number", "name", "user_id", "device_id", "trunk_id")


def call_row(record: CallRecord) -> Row:
    row: Row = {
        "id": record.id,
        "organization_id": record.organization_id,
        "node_id": record.node_id,
        "version": record.version,
        "state": record.state.value,
        "direction": record.direction.value if record.direction else None,
        "dialed": record.dialed,
        "states": _json(record.states),
        "started_at": record.started_at,
        "ringing_at": record.ringing_at,
        "answered_at": record.answered_at,
        "ended_at": record.ended_at,
        "disposition": record.disposition.value if record.disposition else None,
        "recording_id": record.recording_id,
        "recording_error": record.recording_error,
        "flags": _json(record.flags),
        "digits": record.digits,
        "ignored_events": record.ignored_events,
        **_party("caller", record.caller),
        **_party("callee", record.callee),
        **_ending(record.ending),
    }
    return storable(row)


def leg_rows(record: CallRecord) -> Iterable[Row]:
    for position, leg in enumerate(record.legs):
        yield storable(_leg_row(record, position, leg))


def ladder_row(call_id: UUID, organization_id: UUID, ladder: Ladder) -> Row:
    messages = _json(ladder.messages)
    return {"id": call_id, "organization_id": organization_id, "messages": messages, "omitted": ladder.omitted}


def _leg_row(record: CallRecord, position: int, leg: LegRecord) -> Row:
    return {
        "id": leg.id,
        "organization_id": record.organization_id,
        "call_id": record.id,
        "version": record.version,
        "position": position,
        "role": leg.role.value,
        "state": leg.state.value,
        "signalling_id": leg.signalling_id,
        "provider_sid": leg.provider_sid,
        "transport": leg.transport,
        "remote_address": leg.remote_address,
        "user_agent": leg.user_agent,
        "codec": leg.codec,
        "extra": _json(leg.extra),
        "started_at": leg.started_at,
        "ringing_at": leg.ringing_at,
        "answered_at": leg.answered_at,
        "ended_at": leg.ended_at,
        "quality": _json(leg.quality) if leg.quality is not None else None,
        "flags": _json(leg.flags),
        "digits": leg.digits,
        **_party("party", leg.party),
        **_ending(leg.ending if leg.ended_at is not None else None),
    }


def _party(prefix: str, party: Party | None) -> Row:
    return {f"{prefix}_{name}": getattr(party, name, None) for name in _PARTY}


def _ending(ending: Ending | None) -> Row:
    return {
        "end_code": ending.code.value if ending else None,
        "end_words": ending.words if ending else None,
        "end_by": ending.by if ending else None,
        "end_blame": ending.blame.value if ending else None,
        "end_status": ending.sip_status if ending else None,
        "end_reason": ending.sip_reason if ending else None,
        "end_warning": ending.warning if ending else None,
    }


def _json(value: object) -> Jsonb:
    return Jsonb(_without_nul(msgspec.to_builtins(value)))


def storable(row: Mapping[str, Any]) -> Row:
    """No text of PostgreSQL can hold NUL, and a far side may send one: such a record must be written all the same."""
    return {key: value.replace("\0", "\ufffd") if isinstance(value, str) else value for key, value in row.items()}


def _without_nul(value: Any) -> Any:
    if isinstance(value, str):
        return value.replace("\0", "\ufffd")
    if isinstance(value, list | tuple):
        return [_without_nul(item) for item in value]
    if isinstance(value, dict):
        return {key: _without_nul(item) for key, item in value.items()}
    return value
