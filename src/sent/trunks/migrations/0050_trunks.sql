-- Carriers and the numbers that they bring. The password is sealed by the vault (context 'trunk.password:<id>').
CREATE TABLE sent.trunks (
  id               uuid PRIMARY KEY,
  organization_id  uuid NOT NULL,
  name             text NOT NULL CHECK (name <> ''),
  mode             text NOT NULL CHECK (mode IN ('register', 'address')),
  domain           text NOT NULL CHECK (domain <> ''),
  transport        text NOT NULL CHECK (transport IN ('UDP', 'TCP', 'TLS')),
  proxy            text,
  username         text,
  auth_username    text,
  sealed_password  bytea,
  country          text NOT NULL CHECK (country ~ '^([A-Z]{2})?$'),
  caller_id        text,
  caller_id_header text NOT NULL CHECK (caller_id_header IN ('from', 'asserted')),
  sources          text[] NOT NULL,
  srtp             text NOT NULL CHECK (srtp IN ('off', 'offered', 'required')),
  priority         integer NOT NULL,
  outside_prefix   text NOT NULL CHECK (outside_prefix ~ '^[0-9]{0,4}$'),
  concurrent_calls integer NOT NULL CHECK (concurrent_calls >= 0),
  calls_per_minute integer NOT NULL CHECK (calls_per_minute >= 0),
  calls_per_day    integer NOT NULL CHECK (calls_per_day >= 0),
  countries        text[] NOT NULL,
  premium          boolean NOT NULL,
  enabled          boolean NOT NULL,
  created_at       timestamptz NOT NULL DEFAULT now(),
  UNIQUE (organization_id, name),
  CHECK (mode <> 'register' OR (username IS NOT NULL AND sealed_password IS NOT NULL)),
  CHECK (mode <> 'address' OR sources <> '{}')
);
SELECT sent.make_tenant_table('trunks');

CREATE TABLE sent.trunk_numbers (
  id              uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  trunk_id        uuid NOT NULL REFERENCES sent.trunks ON DELETE CASCADE,
  number          text NOT NULL CHECK (number ~ '^\+?[0-9]{2,20}$'),
  extension       text NOT NULL CHECK (extension <> ''),
  UNIQUE (trunk_id, number)
);
CREATE INDEX trunk_numbers_organization ON sent.trunk_numbers (organization_id);
SELECT sent.make_tenant_table('trunk_numbers');
