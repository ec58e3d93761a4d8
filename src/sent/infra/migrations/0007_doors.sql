-- What a SECURITY DEFINER function may tell, by the door that asks. Inside such a function current_user is the owner;
-- the role that the door took is still in the setting "role".

CREATE FUNCTION sent.door_is_open_for(organization uuid) RETURNS boolean
LANGUAGE sql STABLE SET search_path = sent, pg_catalog, pg_temp AS $$
  SELECT coalesce(CASE current_setting('role')
    WHEN 'sent_app' THEN organization = nullif(current_setting('sent.organization', true), '')::uuid
    WHEN 'sent_system' THEN nullif(current_setting('sent.reason', true), '')::sent.system_reason IS NOT NULL
    WHEN 'sent_resolver' THEN true
  END, false)
$$;

-- Until now the keys of every organization were told to a transaction that had set none.
CREATE OR REPLACE FUNCTION sent.vault_active_key(organization uuid)
RETURNS TABLE (id uuid, sealed_key bytea, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sent, pg_catalog, pg_temp AS $$
  SELECT k.id, k.sealed_key, k.created_at FROM sent.organization_keys k
  WHERE k.organization_id = organization AND k.retired_at IS NULL AND sent.door_is_open_for(organization)
$$;

CREATE OR REPLACE FUNCTION sent.vault_key(organization uuid, key uuid)
RETURNS TABLE (id uuid, sealed_key bytea, created_at timestamptz)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = sent, pg_catalog, pg_temp AS $$
  SELECT k.id, k.sealed_key, k.created_at FROM sent.organization_keys k
  WHERE k.organization_id = organization AND k.id = key AND sent.door_is_open_for(organization)
$$;

-- An organization's door puts in jobs for that organization, and none when it has no organization.
CREATE OR REPLACE FUNCTION jobs.defer(task text, args jsonb, run_at timestamptz, lock text) RETURNS bigint
LANGUAGE plpgsql SECURITY DEFINER SET search_path = jobs, pg_catalog, pg_temp AS $$
DECLARE
  organization text := nullif(current_setting('sent.organization', true), '');
BEGIN
  IF (organization IS NULL AND nullif(current_setting('sent.reason', true), '') IS NULL)
     OR (organization IS NOT NULL AND coalesce(args ->> 'organization_id', organization) <> organization) THEN
    RAISE insufficient_privilege USING MESSAGE = 'a job for another organization than the transaction''s';
  END IF;
  RETURN (procrastinate_defer_jobs_v1(ARRAY[
    ROW('default', task, 0, lock, NULL, args, run_at)::procrastinate_job_to_defer_v1
  ]))[1];
END $$;
