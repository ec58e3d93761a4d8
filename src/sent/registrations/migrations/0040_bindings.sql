-- Where phones can be reached, written behind from memory so that a restart keeps them reachable.
CREATE TABLE sent.bindings (
  device_id       uuid NOT NULL,
  contact         text NOT NULL,
  organization_id uuid NOT NULL,
  user_id         uuid NOT NULL,
  q               real NOT NULL,
  call_id         text NOT NULL,
  cseq            bigint NOT NULL,
  expires_at      timestamptz NOT NULL,
  refreshed_at    timestamptz NOT NULL,
  transport       text NOT NULL,
  local_address   text NOT NULL,
  local_port      integer NOT NULL,
  source_address  text NOT NULL,
  source_port     integer NOT NULL,
  path            text[] NOT NULL,
  instance        text,
  reg_id          integer,
  user_agent      text NOT NULL,
  PRIMARY KEY (device_id, contact)
);
CREATE INDEX bindings_expiry ON sent.bindings (expires_at);
SELECT sent.make_ephemeral_table('bindings');
