-- Organizations, their users, and the devices of users.

CREATE TABLE sent.organizations (
  id          uuid PRIMARY KEY,
  name        text NOT NULL CHECK (name <> ''),
  slug        text NOT NULL UNIQUE CHECK (slug ~ '^[a-z0-9]([a-z0-9-]{0,46}[a-z0-9])?$'),
  home_region text NOT NULL CHECK (home_region ~ '^[A-Z]{2}$'),
  created_at  timestamptz NOT NULL DEFAULT now()
);
SELECT sent.add_policies('organizations', 'id');
GRANT SELECT ON sent.organizations TO sent_app;
GRANT SELECT, INSERT, UPDATE ON sent.organizations TO sent_system;

CREATE TABLE sent.users (
  id              uuid PRIMARY KEY,
  organization_id uuid NOT NULL REFERENCES sent.organizations (id),
  name            text NOT NULL CHECK (name <> ''),
  email           text CHECK (email LIKE '%_@_%'),
  role            text NOT NULL CHECK (role IN ('owner', 'admin', 'member')),
  created_at      timestamptz NOT NULL DEFAULT now(),
  disabled_at     timestamptz,
  UNIQUE (organization_id, id)
);
CREATE UNIQUE INDEX users_email ON sent.users (organization_id, lower(email));
SELECT sent.make_tenant_table('users');

CREATE TABLE sent.devices (
  id               uuid PRIMARY KEY,
  organization_id  uuid NOT NULL,
  user_id          uuid NOT NULL,
  name             text NOT NULL CHECK (name <> ''),
  -- Unique on the whole server: two organizations may have a 101 on one address.
  sip_username     text NOT NULL UNIQUE CHECK (sip_username ~ '^[a-z2-7]{12}$'),
  sealed_secret    bytea NOT NULL,
  digest_algorithm text NOT NULL CHECK (digest_algorithm IN ('MD5', 'SHA-256')),
  created_at       timestamptz NOT NULL DEFAULT now(),
  disabled_at      timestamptz,
  -- With the organization, so that a device cannot belong to a user of another one.
  FOREIGN KEY (organization_id, user_id) REFERENCES sent.users (organization_id, id)
);
CREATE INDEX devices_of_user ON sent.devices (organization_id, user_id);
SELECT sent.make_tenant_table('devices');

-- Whoever keeps a device's credential in memory hears of a change here. The payload is the SIP user name.
CREATE FUNCTION sent.tell_device_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  IF TG_OP <> 'INSERT' THEN PERFORM pg_notify('sent_devices', OLD.sip_username); END IF;
  IF TG_OP <> 'DELETE' THEN PERFORM pg_notify('sent_devices', NEW.sip_username); END IF;
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER INSERT OR UPDATE OR DELETE ON sent.devices
  FOR EACH ROW EXECUTE FUNCTION sent.tell_device_changed();

CREATE FUNCTION sent.tell_user_changed() RETURNS trigger
LANGUAGE plpgsql SET search_path = sent, pg_catalog, pg_temp AS $$
BEGIN
  PERFORM pg_notify('sent_devices', d.sip_username)
    FROM sent.devices d WHERE d.organization_id = NEW.organization_id AND d.user_id = NEW.id;
  RETURN NULL;
END $$;
CREATE TRIGGER tell AFTER UPDATE ON sent.users
  FOR EACH ROW EXECUTE FUNCTION sent.tell_user_changed();

-- The registrar's question, before any organization is known.
CREATE FUNCTION sent.find_device(wanted_sip_username text) RETURNS TABLE (
  organization_id uuid, user_id uuid, user_name text, device_id uuid, device_name text, sip_username text,
  sealed_secret bytea, digest_algorithm text, disabled boolean
)
LANGUAGE sql STABLE AS $$
  SELECT d.organization_id, d.user_id, u.name, d.id, d.name, d.sip_username, d.sealed_secret, d.digest_algorithm,
         d.disabled_at IS NOT NULL OR u.disabled_at IS NOT NULL
  FROM sent.devices d JOIN sent.users u ON u.organization_id = d.organization_id AND u.id = d.user_id
  WHERE d.sip_username = wanted_sip_username
$$;
SELECT sent.make_resolver('sent.find_device(text)');
