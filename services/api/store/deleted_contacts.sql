-- name: said(workspace_ids, contact_ids)
-- Which of these contacts were deleted, as far back as is kept, and when that was last said.
SELECT workspace_id, contact_id, max(said_at) AS said_at
  FROM deleted_contact
  JOIN unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS wanted (workspace_id, contact_id)
 USING (workspace_id, contact_id)
 GROUP BY workspace_id, contact_id;

-- name: add(workspace_ids, contact_ids, said_ats)!
-- Remember that contacts are gone, and that what is held of them as persons is to be erased.
INSERT INTO deleted_contact (workspace_id, contact_id, said_at)
SELECT * FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[], :said_ats::bigint[]);

-- name: remove(workspace_ids, contact_ids)!
-- Forget that contacts were gone: they are back.
DELETE FROM deleted_contact
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS back (workspace_id, contact_id)
 WHERE deleted_contact.workspace_id = back.workspace_id
   AND deleted_contact.contact_id = back.contact_id;

-- name: to_erase(at_most)
-- Deleted contacts whose data are to be erased now; another process takes others.
SELECT workspace_id, contact_id
  FROM deleted_contact
 WHERE erase_at <= now()
 ORDER BY erase_at
 LIMIT :at_most::int
   FOR UPDATE SKIP LOCKED;

-- name: erased(workspace_ids, contact_ids)!
-- Their data are erased. It is done once more after a while, for what was being written meanwhile
-- by those who had not seen that the contact is gone.
UPDATE deleted_contact
   SET erase_at = CASE WHEN erase_at < deleted_at + interval '5 minutes'
                       THEN deleted_at + interval '5 minutes' END
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS done (workspace_id, contact_id)
 WHERE deleted_contact.workspace_id = done.workspace_id
   AND deleted_contact.contact_id = done.contact_id
   AND erase_at <= now();
