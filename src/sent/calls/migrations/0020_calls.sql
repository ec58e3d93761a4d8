-- The record of each call, of its legs, its SIP messages, and which node keeps it.
--
-- Rows are written whole and more than once (at the start, at the answer, at the end, and again by a replay);
-- `version` decides which one stands. No foreign key to the organization or to users: a record that was kept in a
-- spool file while the database was gone must find its place, whatever was deleted since.

CREATE TABLE sent.node_leases (
  id          uuid PRIMARY KEY,
  host        text NOT NULL,
  started_at  timestamptz NOT NULL,
  renewed_at  timestamptz NOT NULL,
  expires_at  timestamptz NOT NULL
);
GRANT SELECT, INSERT, UPDATE, DELETE ON sent.node_leases TO sent_system;

CREATE TABLE sent.calls (
  id               uuid PRIMARY KEY,
  organization_id  uuid NOT NULL,
  node_id          uuid NOT NULL,
  version          integer NOT NULL,
  state            text NOT NULL,
  direction        text CHECK (direction IN ('internal', 'inbound', 'outbound')),
  dialed           text NOT NULL,
  caller_kind      text NOT NULL,
  caller_number    text NOT NULL,
  caller_name      text NOT NULL,
  caller_user_id   uuid,
  caller_device_id uuid,
  caller_trunk_id  uuid,
  callee_kind      text,
  callee_number    text,
  callee_name      text,
  callee_user_id   uuid,
  callee_device_id uuid,
  callee_trunk_id  uuid,
  states           jsonb NOT NULL,
  started_at       timestamptz NOT NULL,
  ringing_at       timestamptz,
  answered_at      timestamptz,
  ended_at         timestamptz,
  disposition      text,
  end_code         text,
  end_words        text,
  end_by           text,
  end_blame        text,
  end_status       integer,
  end_reason       text,
  end_warning      text,
  recording_id     uuid,
  recording_error  text,
  flags            jsonb NOT NULL,
  digits           integer NOT NULL,
  ignored_events   integer NOT NULL,
  CHECK ((ended_at IS NULL) = (end_code IS NULL)),
  CHECK ((ended_at IS NULL) = (state <> 'ended'))
);
CREATE INDEX calls_of_organization ON sent.calls (organization_id, id DESC);
CREATE INDEX calls_of_caller ON sent.calls (organization_id, caller_number, id DESC);
CREATE INDEX calls_of_callee ON sent.calls (organization_id, callee_number, id DESC);
CREATE INDEX calls_open ON sent.calls (node_id) WHERE ended_at IS NULL;
CREATE INDEX calls_by_age ON sent.calls (ended_at);
SELECT sent.make_tenant_table('calls');

CREATE TABLE sent.call_legs (
  id               uuid PRIMARY KEY,
  organization_id  uuid NOT NULL,
  call_id          uuid NOT NULL REFERENCES sent.calls ON DELETE CASCADE,
  version          integer NOT NULL,
  position         integer NOT NULL,
  role             text NOT NULL CHECK (role IN ('caller', 'callee')),
  party_kind       text NOT NULL,
  party_number     text NOT NULL,
  party_name       text NOT NULL,
  party_user_id    uuid,
  party_device_id  uuid,
  party_trunk_id   uuid,
  state            text NOT NULL,
  signalling_id    text NOT NULL,
  provider_sid     text,
  transport        text NOT NULL,
  remote_address   text NOT NULL,
  user_agent       text NOT NULL,
  codec            text,
  extra            jsonb NOT NULL,
  started_at       timestamptz NOT NULL,
  ringing_at       timestamptz,
  answered_at      timestamptz,
  ended_at         timestamptz,
  end_code         text,
  end_words        text,
  end_by           text,
  end_blame        text,
  end_status       integer,
  end_reason       text,
  end_warning      text,
  quality          jsonb,
  flags            jsonb NOT NULL,
  digits           integer NOT NULL
);
CREATE INDEX call_legs_of_call ON sent.call_legs (call_id);
CREATE INDEX call_legs_by_signalling ON sent.call_legs (organization_id, signalling_id) WHERE signalling_id <> '';
SELECT sent.make_tenant_table('call_legs');

-- The audit says that a ladder was written and not what it holds (the prefix secret_): it would keep every message a
-- second time, and longer than the call's own retention.
CREATE TABLE sent.call_ladder (
  id               uuid PRIMARY KEY REFERENCES sent.calls ON DELETE CASCADE,
  organization_id  uuid NOT NULL,
  secret_messages  jsonb NOT NULL,
  omitted          integer NOT NULL
);
SELECT sent.make_tenant_table('call_ladder');
