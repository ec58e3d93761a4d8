-- Schema, rights of the three door roles, and the helpers that make a table safe.
--
-- The roles (sent_app, sent_system, sent_resolver) are made by infra/db/roles.py before this file runs, because
-- roles belong to the cluster and not to one database. The server logs in as a member of all three that has no
-- right of its own, and each door of infra/db/database.py takes one of them for one transaction:
--
--   transaction(organization, actor)  sent_app       rows of that organization
--   system(reason)                    sent_system    rows of all, while a reason of the list is set
--   resolver()                        sent_resolver  nothing but EXECUTE on the functions named as resolvers

-- Functions are for nobody until granted; this covers every later migration of the same owner.
ALTER DEFAULT PRIVILEGES REVOKE EXECUTE ON FUNCTIONS FROM PUBLIC;

GRANT USAGE ON SCHEMA sent TO sent_app, sent_system, sent_resolver;

-- Why a transaction may see the rows of all organizations: sent.infra.db.SystemReason says the same.
-- A new one: ALTER TYPE sent.system_reason ADD VALUE.
CREATE TYPE sent.system_reason AS ENUM (
  'migrate', 'recover_calls', 'retention', 'seal_audit', 'jobs', 'provision', 'diagnose',
  'restore_bindings', 'load_trunks', 'rotate_keys', 'move_recordings'
);

-- The login that the server becomes. Only the owner reads it.
CREATE TABLE sent.server_login (
  only_row  boolean PRIMARY KEY DEFAULT true CHECK (only_row),
  role_name text NOT NULL,
  secret_password text NOT NULL
);

-- The policies that every table with rows of organizations has. Forced, so that they bind the owner, too: it sees
-- rows only while migrating, and inside its SECURITY DEFINER functions (resolvers), where it is not the one logged in.
CREATE FUNCTION sent.add_policies(table_name text, organization_column text DEFAULT 'organization_id') RETURNS void
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER TABLE sent.%I ENABLE ROW LEVEL SECURITY', table_name);
  EXECUTE format('ALTER TABLE sent.%I FORCE ROW LEVEL SECURITY', table_name);
  EXECUTE format(
    'CREATE POLICY organization ON sent.%I TO sent_app'
    ' USING (%I = nullif(current_setting(''sent.organization'', true), '''')::uuid)'
    ' WITH CHECK (%I = nullif(current_setting(''sent.organization'', true), '''')::uuid)',
    table_name, organization_column, organization_column);
  EXECUTE format(
    'CREATE POLICY system ON sent.%I TO sent_system'
    ' USING (nullif(current_setting(''sent.reason'', true), '''')::sent.system_reason IS NOT NULL)'
    ' WITH CHECK (nullif(current_setting(''sent.reason'', true), '''')::sent.system_reason IS NOT NULL)',
    table_name);
  EXECUTE format(
    'CREATE POLICY owner ON sent.%I TO CURRENT_USER'
    ' USING (session_user <> current_user OR current_setting(''sent.reason'', true) = ''migrate'')'
    ' WITH CHECK (session_user <> current_user OR current_setting(''sent.reason'', true) = ''migrate'')',
    table_name);
END $$;

CREATE FUNCTION sent.require_organization_column(table_name text) RETURNS void
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  PERFORM 1 FROM pg_attribute
    WHERE attrelid = format('sent.%I', table_name)::regclass
      AND attname = 'organization_id' AND atttypid = 'uuid'::regtype AND attnotnull AND NOT attisdropped;
  IF NOT FOUND THEN
    RAISE EXCEPTION 'sent.% needs a column "organization_id uuid NOT NULL" to be a table of organizations', table_name;
  END IF;
END $$;

-- Ephemeral: policies and rights, no audit (bindings, outbox).
CREATE FUNCTION sent.make_ephemeral_table(table_name text) RETURNS void
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  PERFORM sent.require_organization_column(table_name);
  PERFORM sent.add_policies(table_name);
  EXECUTE format('GRANT SELECT, INSERT, UPDATE, DELETE ON sent.%I TO sent_app, sent_system', table_name);
END $$;

-- A resolver answers one question that comes before an organization is known. It runs as the owner with a fixed
-- search path, and only the resolver door may call it.
CREATE FUNCTION sent.make_resolver(resolver regprocedure) RETURNS void
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  EXECUTE format('ALTER FUNCTION %s SECURITY DEFINER SET search_path = sent, pg_catalog, pg_temp', resolver);
  EXECUTE format('REVOKE ALL ON FUNCTION %s FROM PUBLIC', resolver);
  EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO sent_resolver', resolver);
END $$;
