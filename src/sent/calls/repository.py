"""All SQL of `calls`: writing records, leases, closing what a dead node left open. Queries: `history_repository`."""

from __future__ import annotations

from typing import LiteralString

PUT_CALL_SQL: LiteralString = """
INSERT INTO calls (
  id, organization_id, node_id, version, state, direction, dialed, caller_kind, caller_number, caller_name,
  caller_user_id, caller_device_id, caller_trunk_id, callee_kind, callee_number, callee_name, callee_user_id,
  callee_device_id, callee_trunk_id, states, started_at, ringing_at, answered_at, ended_at, disposition,
  end_code, end_words, end_by, end_blame, end_status, end_reason, end_warning, recording_id, recording_error,
  flags, digits, ignored_events
) VALUES (
  %(id)s, %(organization_id)s, %(node_id)s, %(version)s, %(state)s, %(direction)s, %(dialed)s,
  %(caller_kind)s, %(caller_number)s, %(caller_name)s, %(caller_user_id)s, %(caller_device_id)s,
  %(caller_trunk_id)s, %(callee_kind)s, %(callee_number)s, %(callee_name)s, %(callee_user_id)s,
  %(callee_device_id)s, %(callee_trunk_id)s, %(states)s, %(started_at)s, %(ringing_at)s, %(answered_at)s,
  %(ended_at)s, %(disposition)s, %(end_code)s, %(end_words)s, %(end_by)s, %(end_blame)s, %(end_status)s,
  %(end_reason)s, %(end_warning)s, %(recording_id)s, %(recording_error)s, %(flags)s, %(digits)s,
  %(ignored_events)s
)
ON CONFLICT (id) DO UPDATE SET
  version = excluded.version, state = excluded.state, direction = excluded.direction,
  callee_kind = excluded.callee_kind, callee_number = excluded.callee_number,
  callee_name = excluded.callee_name, callee_user_id = excluded.callee_user_id,
  callee_device_id = excluded.callee_device_id, callee_trunk_id = excluded.callee_trunk_id,
  states = excluded.states, ringing_at = excluded.ringing_at, answered_at = excluded.answered_at,
  ended_at = excluded.ended_at, disposition = excluded.disposition, end_code = excluded.end_code,
  end_words = excluded.end_words, end_by = excluded.end_by, end_blame = excluded.end_blame,
  end_status = excluded.end_status, end_reason = excluded.end_reason, end_warning = excluded.end_warning,
  recording_id = excluded.recording_id, recording_error = excluded.recording_error, flags = excluded.flags,
  digits = excluded.digits, ignored_events = excluded.ignored_events
WHERE calls.version < excluded.version"""

PUT_LEG_SQL: LiteralString = """
INSERT INTO call_legs (
  id, organization_id, call_id, version, position, role, party_kind, party_number, party_name, party_user_id,
  party_device_id, party_trunk_id, state, signalling_id, provider_sid, transport, remote_address, user_agent,
  codec, extra, started_at, ringing_at, answered_at, ended_at, end_code, end_words, end_by, end_blame,
  end_status, end_reason, end_warning, quality, flags, digits
) VALUES (
  %(id)s, %(organization_id)s, %(call_id)s, %(version)s, %(position)s, %(role)s, %(party_kind)s,
  %(party_number)s, %(party_name)s, %(party_user_id)s, %(party_device_id)s, %(party_trunk_id)s, %(state)s,
  %(signalling_id)s, %(provider_sid)s, %(transport)s, %(remote_address)s, %(user_agent)s, %(codec)s,
  %(extra)s, %(started_at)s, %(ringing_at)s, %(answered_at)s, %(ended_at)s, %(end_code)s, %(end_words)s,
  %(end_by)s, %(end_blame)s, %(end_status)s, %(end_reason)s, %(end_warning)s, %(quality)s, %(flags)s,
  %(digits)s
)
ON CONFLICT (id) DO UPDATE SET
  version = excluded.version, party_kind = excluded.party_kind, party_number = excluded.party_number,
  party_name = excluded.party_name, party_user_id = excluded.party_user_id,
  party_device_id = excluded.party_device_id, party_trunk_id = excluded.party_trunk_id,
  state = excluded.state, signalling_id = excluded.signalling_id, provider_sid = excluded.provider_sid,
  transport = excluded.transport, remote_address = excluded.remote_address, user_agent = excluded.user_agent,
  codec = excluded.codec, extra = excluded.extra, ringing_at = excluded.ringing_at,
  answered_at = excluded.answered_at, ended_at = excluded.ended_at, end_code = excluded.end_code,
  end_words = excluded.end_words, end_by = excluded.end_by, end_blame = excluded.end_blame,
  end_status = excluded.end_status, end_reason = excluded.end_reason, end_warning = excluded.end_warning,
  quality = excluded.quality, flags = excluded.flags, digits = excluded.digits
WHERE call_legs.version < excluded.version"""

PUT_LADDER_SQL: LiteralString = """
INSERT INTO call_ladder (id, organization_id, secret_messages, omitted)
VALUES (%(id)s, %(organization_id)s, %(messages)s, %(omitted)s)
ON CONFLICT (id) DO NOTHING"""

LAST_LIFE_SQL: LiteralString = """
SELECT renewed_at FROM node_leases WHERE id = %(id)s"""

RENEW_LEASE_SQL: LiteralString = """
WITH before AS (SELECT expires_at FROM node_leases WHERE id = %(id)s)
INSERT INTO node_leases AS mine (id, host, started_at, renewed_at, expires_at)
VALUES (%(id)s, %(host)s, now(), now(), now() + make_interval(secs => %(seconds)s))
ON CONFLICT (id) DO UPDATE SET host = excluded.host, renewed_at = now(), expires_at = excluded.expires_at
RETURNING coalesce((SELECT expires_at FROM before) < now(), false) AS had_lapsed"""

GIVE_UP_LEASE_SQL: LiteralString = """
UPDATE node_leases SET renewed_at = now(), expires_at = now() WHERE id = %(id)s"""

CLOSE_OWN_SQL: LiteralString = """
UPDATE calls SET
  state = 'ended', end_code = 'interrupted', end_by = 'system', end_blame = 'us', end_words = %(words)s,
  disposition = CASE WHEN answered_at IS NULL THEN 'failed' ELSE 'answered' END,
  ended_at = greatest(started_at, answered_at, %(last_life)s::timestamptz),
  states = states || jsonb_build_array(
    jsonb_build_object('state', 'ended', 'at', greatest(started_at, answered_at, %(last_life)s::timestamptz)))
WHERE node_id = %(node_id)s AND ended_at IS NULL
  AND (%(process_start)s::timestamptz IS NULL OR started_at < %(process_start)s::timestamptz)
RETURNING id"""

CLOSE_LAPSED_SQL: LiteralString = """
WITH lapsed AS (
  SELECT c.id, greatest(c.started_at, c.answered_at, l.renewed_at) AS last_life
  FROM calls c LEFT JOIN node_leases l ON l.id = c.node_id
  WHERE c.node_id <> %(node_id)s AND c.ended_at IS NULL AND (l.id IS NULL OR l.expires_at < now()))
UPDATE calls SET
  state = 'ended', end_code = 'interrupted', end_by = 'system', end_blame = 'us', end_words = %(words)s,
  disposition = CASE WHEN answered_at IS NULL THEN 'failed' ELSE 'answered' END,
  ended_at = lapsed.last_life,
  states = states || jsonb_build_array(jsonb_build_object('state', 'ended', 'at', lapsed.last_life))
FROM lapsed WHERE lapsed.id = calls.id AND calls.ended_at IS NULL
RETURNING calls.id"""

CLOSE_LEGS_SQL: LiteralString = """
UPDATE call_legs SET state = 'ended', ended_at = c.ended_at, end_code = 'interrupted', end_by = 'system',
  end_blame = 'us', end_words = %(words)s
FROM calls c WHERE c.id = call_legs.call_id AND c.id = ANY(%(calls)s) AND call_legs.ended_at IS NULL"""

FORGET_LEASES_SQL: LiteralString = """
DELETE FROM node_leases l WHERE l.expires_at < now() - interval '1 day'
  AND NOT EXISTS (SELECT FROM calls c WHERE c.node_id = l.id AND c.ended_at IS NULL)"""

FIND_LIVE_CALL_SQL: LiteralString = """
SELECT id FROM calls WHERE organization_id = %(organization_id)s AND id = %(id)s AND ended_at IS NULL"""

COMMAND_SQL: LiteralString = """
SELECT pg_notify(%(channel)s, %(command)s), sent.record_audit('hang_up', 'calls', %(id)s::text, '{}'::jsonb)"""

DELETE_OLD_SQL: LiteralString = """
DELETE FROM calls WHERE id IN (
  SELECT id FROM calls WHERE organization_id = %(organization_id)s AND ended_at < %(before)s
  ORDER BY ended_at LIMIT %(limit)s)
RETURNING id"""
