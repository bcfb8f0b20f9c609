-- name: read(partitions, workspace_ids, contact_ids)
-- What is known of these contacts, each given with its workspace.
SELECT contact.workspace_id, contact.contact_id, contact.fields, contact.custom_fields,
       contact.lists, contact.times, contact.deleted_at IS NOT NULL AS deleted
  FROM unnest(:partitions::int[], :workspace_ids::uuid[], :contact_ids::uuid[])
       AS wanted (partition, workspace_id, contact_id)
  JOIN contact USING (partition, workspace_id, contact_id);

-- name: page(partition, workspace_id, after, at_most)
-- Some contacts of a workspace in one partition, in order of their ids, also those that are gone.
SELECT contact_id
  FROM contact
 WHERE partition = :partition
   AND workspace_id = :workspace_id
   AND contact_id > :after
 ORDER BY contact_id
 LIMIT :at_most::int;

-- name: write(partitions, workspace_ids, contact_ids, fields, custom_fields, lists, times, deleted)!
-- Write contacts as they are now. Lists come as one text per contact, because arrays of arrays of
-- different lengths cannot be passed.
INSERT INTO contact (partition, workspace_id, contact_id, fields, custom_fields, lists, times,
                     deleted_at)
SELECT partition, workspace_id, contact_id, fields, custom_fields, lists::uuid[], times,
       CASE WHEN deleted THEN now() END
  FROM unnest(:partitions::int[], :workspace_ids::uuid[], :contact_ids::uuid[], :fields::jsonb[],
              :custom_fields::jsonb[], :lists::text[], :times::jsonb[],
              :deleted::boolean[])
       AS written (partition, workspace_id, contact_id, fields, custom_fields, lists, times, deleted)
    ON CONFLICT (partition, workspace_id, contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists,
       times = EXCLUDED.times,
       deleted_at = EXCLUDED.deleted_at;

-- name: forget(keep_days, at_most)$
-- Drop some of the rows that only say that a contact is gone, after some time; say how many.
WITH old AS (
    SELECT partition, workspace_id, contact_id
      FROM contact
     WHERE deleted_at < now() - make_interval(secs => :keep_days::float8 * 86400)
     ORDER BY deleted_at
     LIMIT :at_most::int
       FOR UPDATE SKIP LOCKED
), gone AS (
    DELETE FROM contact USING old
     WHERE contact.partition = old.partition
       AND contact.workspace_id = old.workspace_id
       AND contact.contact_id = old.contact_id
    RETURNING 1
)
SELECT count(*) FROM gone;
