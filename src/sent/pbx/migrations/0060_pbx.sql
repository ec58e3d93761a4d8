-- Numbers inside an organization, and how its calls are treated.

CREATE TABLE sent.extensions (
  id               uuid PRIMARY KEY,
  organization_id  uuid NOT NULL,
  number           text NOT NULL CHECK (number ~ '^[0-9*#]{1,15}$'),
  kind             text NOT NULL CHECK (kind IN ('user', 'echo', 'announcement')),
  name             text NOT NULL DEFAULT '',
  user_id          uuid,
  announcement     text,
  UNIQUE (organization_id, number),
  CHECK ((kind = 'user') = (user_id IS NOT NULL)),
  CHECK ((kind = 'announcement') = (announcement IS NOT NULL))
);
CREATE INDEX extensions_of_user ON sent.extensions (organization_id, user_id) WHERE user_id IS NOT NULL;
SELECT sent.make_tenant_table('extensions');

-- One row per organization at most; without it the defaults hold.
CREATE TABLE sent.pbx_settings (
  organization_id  uuid PRIMARY KEY,
  record_internal  boolean NOT NULL DEFAULT false,
  record_outside   boolean NOT NULL DEFAULT false
);
SELECT sent.make_tenant_table('pbx_settings');

-- A change reaches every node's routing snapshot; the payload is the organization.
CREATE FUNCTION sent.notify_routing() RETURNS trigger
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_notify('sent_routing', coalesce(NEW.organization_id, OLD.organization_id)::text);
  RETURN NULL;
END $$;
CREATE TRIGGER notify_routing AFTER INSERT OR UPDATE OR DELETE ON sent.extensions
  FOR EACH ROW EXECUTE FUNCTION sent.notify_routing();
CREATE TRIGGER notify_routing AFTER INSERT OR UPDATE OR DELETE ON sent.pbx_settings
  FOR EACH ROW EXECUTE FUNCTION sent.notify_routing();
