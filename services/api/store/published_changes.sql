-- name: among(workspace_ids, contact_ids)
-- Of which of these contacts a change is published that the directory has not followed yet.
SELECT workspace_id, contact_id
  FROM published_change
  JOIN unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS wanted (workspace_id, contact_id)
 USING (workspace_id, contact_id);

-- name: put(workspace_ids, contact_ids, event_keys)!
-- Remember the last change that is published of each of these contacts.
INSERT INTO published_change (workspace_id, contact_id, event_key)
SELECT workspace_id, contact_id, event_key
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[], :event_keys::uuid[])
       AS told (workspace_id, contact_id, event_key)
    ON CONFLICT (workspace_id, contact_id) DO UPDATE
   SET event_key = EXCLUDED.event_key;

-- name: followed(workspace_ids, contact_ids, event_keys)!
-- The directory has followed these events: where one is the last of its contact, it is up to date.
DELETE FROM published_change AS mine
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[], :event_keys::uuid[])
       AS followed (workspace_id, contact_id, event_key)
 WHERE mine.workspace_id = followed.workspace_id
   AND mine.contact_id = followed.contact_id
   AND mine.event_key = followed.event_key;
