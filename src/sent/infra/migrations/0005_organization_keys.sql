-- The vault's keys: one active per organization, and the retired ones that older values need.

CREATE TABLE organization_keys (
  id              uuid PRIMARY KEY,
  organization_id uuid NOT NULL,
  sealed_key      bytea NOT NULL,
  created_at      timestamptz NOT NULL DEFAULT now(),
  retired_at      timestamptz
);
-- Two transactions that both need a first key meet here: the second waits, and then uses the first one's.
CREATE UNIQUE INDEX organization_keys_active ON organization_keys (organization_id) WHERE retired_at IS NULL;
SELECT make_tenant_table('organization_keys');

-- Keys are also needed before an organization is set (a device's credential), so they are read through resolvers,
-- which are open to the other doors as well. Where an organization is set, they answer for that one only.
CREATE FUNCTION vault_active_key(organization uuid) RETURNS TABLE (id uuid, sealed_key bytea, created_at timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT k.id, k.sealed_key, k.created_at FROM sent.organization_keys k
  WHERE k.organization_id = organization AND k.retired_at IS NULL
    AND organization = coalesce(nullif(current_setting('sent.organization', true), '')::uuid, organization)
$$;

CREATE FUNCTION vault_key(organization uuid, key uuid) RETURNS TABLE (id uuid, sealed_key bytea, created_at timestamptz)
LANGUAGE sql STABLE AS $$
  SELECT k.id, k.sealed_key, k.created_at FROM sent.organization_keys k
  WHERE k.organization_id = organization AND k.id = key
    AND organization = coalesce(nullif(current_setting('sent.organization', true), '')::uuid, organization)
$$;

SELECT make_resolver('vault_active_key(uuid)');
SELECT make_resolver('vault_key(uuid, uuid)');
GRANT EXECUTE ON FUNCTION vault_active_key(uuid), vault_key(uuid, uuid) TO sent_app, sent_system;
