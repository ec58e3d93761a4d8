-- A reference is checked without row-level security, so it has to name the organization itself: a leg or a ladder
-- cannot hang on another organization's call.
ALTER TABLE sent.calls ADD UNIQUE (organization_id, id);
DROP INDEX sent.calls_of_organization;  -- the new one serves the same questions, read backwards

ALTER TABLE sent.call_legs
  DROP CONSTRAINT call_legs_call_id_fkey,
  ADD FOREIGN KEY (organization_id, call_id) REFERENCES sent.calls (organization_id, id) ON DELETE CASCADE;
ALTER TABLE sent.call_ladder
  DROP CONSTRAINT call_ladder_id_fkey,
  ADD FOREIGN KEY (organization_id, id) REFERENCES sent.calls (organization_id, id) ON DELETE CASCADE;
