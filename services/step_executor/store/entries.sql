-- name: keep(ids, entries)!
-- What forms said by which these memberships began.
INSERT INTO membership_entry (membership_id, entry)
SELECT membership_id, entry
  FROM unnest(:ids::uuid[], :entries::jsonb[]) AS kept (membership_id, entry)
    ON CONFLICT DO NOTHING;

-- name: erase(ids)!
-- These memberships have ended.
DELETE FROM membership_entry
 USING unnest(:ids::uuid[]) AS ended (membership_id)
 WHERE membership_entry.membership_id = ended.membership_id;
