-- name: read(workspace_ids, contact_ids)
-- What is known of these contacts, each given with its workspace.
SELECT contact.workspace_id, contact.contact_id, contact.fields, contact.custom_fields,
       contact.lists, contact.times, contact.deleted_at IS NOT NULL AS deleted
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS wanted (workspace_id, contact_id)
  JOIN contact USING (workspace_id, contact_id);

-- name: write(workspace_ids, contact_ids, fields, custom_fields, lists, times, deleted)!
-- Write contacts as they are now. Lists come as one text per contact, because arrays of arrays of
-- different lengths cannot be passed.
INSERT INTO contact AS mine (workspace_id, contact_id, fields, custom_fields, lists, times,
                               deleted_at)
SELECT workspace_id, contact_id, fields, custom_fields, lists::uuid[], times,
       CASE WHEN deleted THEN now() END
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[], :fields::jsonb[],
              :custom_fields::jsonb[], :lists::text[], :times::jsonb[],
              :deleted::boolean[])
       AS written (workspace_id, contact_id, fields, custom_fields, lists, times, deleted)
    ON CONFLICT (workspace_id, contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists,
       times = EXCLUDED.times,
       deleted_at = EXCLUDED.deleted_at;

-- name: forget(keep_days, at_most)$
-- Drop some of the rows that only say that a contact is gone, after some time; say how many.
WITH old AS (
    SELECT workspace_id, contact_id
      FROM contact
     WHERE deleted_at < now() - make_interval(secs => :keep_days::float8 * 86400)
     ORDER BY deleted_at
     LIMIT :at_most::int
       FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM contact USING old
     WHERE contact.workspace_id = old.workspace_id AND contact.contact_id = old.contact_id
    RETURNING 1
)
SELECT count(*) FROM gone;
