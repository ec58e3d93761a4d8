-- A reference is checked without row-level security, so it has to name the organization itself: else a number of one
-- organization could hang on another's carrier and take its calls.
ALTER TABLE sent.trunks ADD UNIQUE (organization_id, id);

ALTER TABLE sent.trunk_numbers
  DROP CONSTRAINT trunk_numbers_trunk_id_fkey,
  ADD FOREIGN KEY (organization_id, trunk_id) REFERENCES sent.trunks (organization_id, id) ON DELETE CASCADE;
ALTER TABLE sent.trunk_status
  DROP CONSTRAINT trunk_status_trunk_id_fkey,
  ADD FOREIGN KEY (organization_id, trunk_id) REFERENCES sent.trunks (organization_id, id) ON DELETE CASCADE;
