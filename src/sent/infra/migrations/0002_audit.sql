-- The audit log: append-only, one row per write to a tenant table (by trigger) and per read worth knowing
-- (sent.record_audit: listening to a recording, an export), partitioned by month, sealed in blocks.
--
-- Order and completeness: a block covers the rows whose transaction is older than everything still running
-- (xid8 < pg_snapshot_xmin), so that a transaction that commits late falls into a later block and never into a
-- hole. Transaction numbers start again when a dump is restored into a new cluster; `era` counts these.

CREATE TABLE sent.audit_eras (
  era         integer PRIMARY KEY,
  first_xid   xid8 NOT NULL,
  started_at  timestamptz NOT NULL DEFAULT now()
);
INSERT INTO sent.audit_eras (era, first_xid) VALUES (1, pg_current_xact_id());

CREATE TABLE sent.audit (
  era             integer NOT NULL,
  xid             xid8 NOT NULL,
  seq             bigint GENERATED ALWAYS AS IDENTITY,
  at              timestamptz NOT NULL,
  organization_id uuid,
  actor           text NOT NULL,
  action          text NOT NULL,
  subject         text NOT NULL,
  row_id          text NOT NULL,
  delta           jsonb NOT NULL,
  sha256          bytea NOT NULL
) PARTITION BY RANGE (at);

CREATE TABLE sent.audit_default PARTITION OF sent.audit DEFAULT;
CREATE INDEX audit_order ON sent.audit (era, xid, seq);
CREATE INDEX audit_of_organization ON sent.audit (organization_id, at DESC);
CREATE INDEX audit_of_row ON sent.audit (subject, row_id);

CREATE TABLE sent.audit_blocks (
  number      bigint PRIMARY KEY,
  era         integer NOT NULL,
  from_xid    xid8 NOT NULL,
  to_xid      xid8 NOT NULL,
  row_count   bigint NOT NULL,
  merkle_root bytea NOT NULL,
  previous    bytea NOT NULL,
  sealed_at   text NOT NULL,
  key_id      text NOT NULL,
  signature   bytea NOT NULL
);

-- Readers see their own organization; sealing and verifying go through system('seal_audit').
-- Not forced: the owner's functions below are the only writers, and nobody has a grant to write.
ALTER TABLE sent.audit ENABLE ROW LEVEL SECURITY;
CREATE POLICY organization ON sent.audit FOR SELECT TO sent_app
  USING (organization_id = nullif(current_setting('sent.organization', true), '')::uuid);
CREATE POLICY system ON sent.audit FOR SELECT TO sent_system
  USING (nullif(current_setting('sent.reason', true), '')::sent.system_reason IS NOT NULL);
GRANT SELECT ON sent.audit TO sent_app, sent_system;
GRANT SELECT, INSERT ON sent.audit_blocks TO sent_system;
GRANT SELECT ON sent.audit_eras TO sent_system;

-- Each field as "length:text;" in UTF-8 bytes, absent ones as "-;". infra/audit/canonical.py says the same in Python;
-- verification recomputes it there, so that a changed function in the database proves nothing.
CREATE FUNCTION sent.audit_digest(VARIADIC fields text[]) RETURNS bytea
LANGUAGE sql IMMUTABLE SET search_path = sent, pg_catalog, pg_temp AS $$
  SELECT sha256(convert_to(
    string_agg(coalesce(octet_length(convert_to(field, 'UTF8'))::text || ':' || field, '-') || ';', '' ORDER BY n),
    'UTF8'))
  FROM unnest(fields) WITH ORDINALITY AS f (field, n)
$$;

CREATE FUNCTION sent.append_audit(
  organization uuid, action text, subject text, row_id text, delta jsonb
) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER
SET search_path = sent, pg_catalog, pg_temp SET timezone = 'UTC' SET datestyle = 'ISO, YMD' AS $$
DECLARE
  actor       text := nullif(current_setting('sent.actor', true), '');
  now_is      timestamptz := clock_timestamp();
  current_xid xid8 := pg_current_xact_id();
  current_era integer := (SELECT max(e.era) FROM sent.audit_eras e);
BEGIN
  -- Only the owner reaches a tenant table without a door; say so instead of inventing a person.
  actor := coalesce(actor, 'owner:' || session_user);
  INSERT INTO sent.audit (era, xid, at, organization_id, actor, action, subject, row_id, delta, sha256)
  VALUES (current_era, current_xid, now_is, organization, actor, action, subject, row_id, delta,
    sent.audit_digest(current_era::text, current_xid::text, now_is::text, organization::text, actor, action, subject,
                      row_id, delta::text));
END $$;

-- What a log must not hold: values of columns named sealed_… and secret_…; that they changed is said.
CREATE FUNCTION sent.without_secrets(image jsonb) RETURNS jsonb
LANGUAGE sql IMMUTABLE SET search_path = sent, pg_catalog, pg_temp AS $$
  SELECT coalesce(jsonb_object_agg(key, CASE
           WHEN (key LIKE 'sealed\_%' OR key LIKE 'secret\_%') AND value <> 'null' THEN '"changed"'::jsonb
           ELSE value END), '{}')
  FROM jsonb_each(image)
$$;

-- Trigger arguments are the columns of the primary key. The delta of an insert and of a delete is the row, that of an
-- update is {column: [old, new]}.
CREATE FUNCTION sent.audit_row() RETURNS trigger
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sent, pg_catalog, pg_temp AS $$
DECLARE
  before jsonb := CASE WHEN TG_OP <> 'INSERT' THEN to_jsonb(OLD) END;
  after  jsonb := CASE WHEN TG_OP <> 'DELETE' THEN to_jsonb(NEW) END;
  image  jsonb := coalesce(after, before);
  key    text  := (SELECT string_agg(image ->> k, ',' ORDER BY n) FROM unnest(TG_ARGV) WITH ORDINALITY AS a (k, n));
  delta  jsonb;
BEGIN
  IF TG_OP = 'UPDATE' THEN
    SELECT coalesce(jsonb_object_agg(n.key, CASE
             WHEN n.key LIKE 'sealed\_%' OR n.key LIKE 'secret\_%' THEN '"changed"'::jsonb
             ELSE jsonb_build_array(before -> n.key, n.value) END), '{}')
      INTO delta FROM jsonb_each(after) AS n WHERE before -> n.key IS DISTINCT FROM n.value;
  ELSE
    delta := sent.without_secrets(image);
  END IF;
  PERFORM sent.append_audit((image ->> 'organization_id')::uuid, lower(TG_OP), TG_TABLE_NAME, coalesce(key, ''), delta);
  RETURN NULL;
END $$;

-- An entry that no write makes. Organization and actor are the door's, never the caller's word.
CREATE FUNCTION sent.record_audit(action text, subject text, row_id text, details jsonb) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  IF action IN ('insert', 'update', 'delete', 'truncate') THEN
    RAISE EXCEPTION 'the action % is written by triggers only', action;
  END IF;
  PERFORM sent.append_audit(
    nullif(current_setting('sent.organization', true), '')::uuid, action, subject, row_id, details);
END $$;
GRANT EXECUTE ON FUNCTION sent.record_audit(text, text, text, jsonb) TO sent_app, sent_system;

-- Tenant: policies, rights, and an audit entry for every write.
CREATE FUNCTION sent.make_tenant_table(table_name text) RETURNS void
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
DECLARE
  key_columns text := (
    SELECT string_agg(quote_literal(a.attname), ', ' ORDER BY k.n)
    FROM pg_index i
    CROSS JOIN unnest(i.indkey::smallint[]) WITH ORDINALITY AS k (attnum, n)
    JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.attnum
    WHERE i.indrelid = format('sent.%I', table_name)::regclass AND i.indisprimary);
BEGIN
  IF key_columns IS NULL THEN
    RAISE EXCEPTION 'sent.% needs a primary key: the audit names the row by it', table_name;
  END IF;
  PERFORM sent.make_ephemeral_table(table_name);
  EXECUTE format(
    'CREATE TRIGGER audit AFTER INSERT OR UPDATE OR DELETE ON sent.%I'
    ' FOR EACH ROW EXECUTE FUNCTION sent.audit_row(%s)', table_name, key_columns);
  -- A replica role would skip an ordinary trigger.
  EXECUTE format('ALTER TABLE sent.%I ENABLE ALWAYS TRIGGER audit', table_name);
END $$;

-- This month and the following ones. A month whose rows already lie in the default partition stays there.
CREATE FUNCTION sent.make_audit_partitions(months_ahead integer DEFAULT 2) RETURNS void
LANGUAGE plpgsql SECURITY DEFINER SET search_path = sent, pg_catalog, pg_temp SET timezone = 'UTC' AS $$
DECLARE
  month timestamptz;
  name  text;
BEGIN
  FOR n IN 0 .. least(months_ahead, 24) LOOP
    month := date_trunc('month', now()) + make_interval(months => n);
    name := 'audit_' || to_char(month, 'YYYY_MM');
    CONTINUE WHEN to_regclass('sent.' || name) IS NOT NULL;
    CONTINUE WHEN EXISTS (
      SELECT FROM sent.audit_default WHERE at >= month AND at < month + interval '1 month');
    EXECUTE format('CREATE TABLE sent.%I PARTITION OF sent.audit FOR VALUES FROM (%L) TO (%L)',
                   name, month, month + interval '1 month');
  END LOOP;
END $$;
GRANT EXECUTE ON FUNCTION sent.make_audit_partitions(integer) TO sent_system;
SELECT sent.make_audit_partitions();

-- At each start: when transaction numbers are lower than what the log holds, this is a restored dump, and what is
-- written from now on belongs to a new era; otherwise it would fall among rows that are sealed already.
CREATE FUNCTION sent.continue_audit_era() RETURNS integer
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
DECLARE
  current_era integer := (SELECT max(e.era) FROM sent.audit_eras e);
  next_xid    xid8 := pg_snapshot_xmax(pg_current_snapshot());
BEGIN
  IF EXISTS (SELECT FROM sent.audit a WHERE a.era = current_era AND a.xid >= next_xid)
     OR EXISTS (SELECT FROM sent.audit_blocks b WHERE b.era = current_era AND b.to_xid > next_xid) THEN
    current_era := current_era + 1;
    INSERT INTO sent.audit_eras (era, first_xid) VALUES (current_era, pg_current_xact_id());
  END IF;
  RETURN current_era;
END $$;
