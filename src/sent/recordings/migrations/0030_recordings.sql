-- Recordings (see recordings/models.py for the states). No foreign key to calls: a recording begins before its call's
-- record is written, and either may be written late, when the database is back.

CREATE TABLE sent.recordings (
  id              uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  call_id         uuid NOT NULL,
  state           text NOT NULL CHECK (state IN ('recording', 'spooled', 'stored', 'failed', 'expired')),
  sealed_key      bytea CHECK (state <> 'expired' OR sealed_key IS NULL),
  store_key       text CHECK (state <> 'stored' OR store_key IS NOT NULL),
  started_at      timestamptz NOT NULL,
  ended_at        timestamptz CHECK (state = 'recording' OR ended_at IS NOT NULL),
  duration_ms     bigint,
  octets          bigint,
  truncated       boolean NOT NULL DEFAULT false,
  error           text,
  expires_at      timestamptz
);
CREATE INDEX recordings_of_call ON sent.recordings (call_id);
CREATE INDEX recordings_by_start ON sent.recordings (organization_id, started_at DESC);
CREATE INDEX recordings_due ON sent.recordings (expires_at) WHERE state IN ('stored', 'failed');
CREATE INDEX recordings_to_delete ON sent.recordings (id) WHERE state = 'expired' AND store_key IS NOT NULL;

SELECT sent.make_tenant_table('recordings');
