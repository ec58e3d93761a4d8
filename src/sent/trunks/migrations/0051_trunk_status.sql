-- What the server sees of each carrier, for people to look at; written anew every few seconds while it changes.
CREATE TABLE sent.trunk_status (
  trunk_id         uuid PRIMARY KEY REFERENCES sent.trunks ON DELETE CASCADE,
  organization_id  uuid NOT NULL,
  health           text NOT NULL,
  health_words     text NOT NULL,
  phase            text,
  registered_until timestamptz,
  words            text NOT NULL,
  calls_up         integer NOT NULL,
  seen_at          timestamptz NOT NULL
);
CREATE INDEX trunk_status_organization ON sent.trunk_status (organization_id);
SELECT sent.make_ephemeral_table('trunk_status');
