-- How long an organization keeps its recordings. One row per organization at most; without it the default of
-- recordings/keeping.py holds. NULL: for ever.
CREATE TABLE sent.recording_settings (
  organization_id uuid PRIMARY KEY,
  keep_days       integer CHECK (keep_days BETWEEN 1 AND 36500)
);
SELECT sent.make_tenant_table('recording_settings');

-- What was recorded before there was a setting.
UPDATE sent.recordings SET expires_at = ended_at + interval '365 days'
WHERE ended_at IS NOT NULL AND expires_at IS NULL AND state <> 'expired';
