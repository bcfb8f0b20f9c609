-- name: read(workspace_ids, contact_ids)
-- What is known of these contacts, each given with its workspace.
SELECT contact.workspace_id, contact.contact_id, contact.fields, contact.custom_fields,
       contact.lists
  FROM contact
  JOIN unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS wanted (workspace_id, contact_id)
 USING (workspace_id, contact_id);

-- name: write(rows)!
-- Write contacts as they are now.
INSERT INTO contact AS mine (workspace_id, contact_id, fields, custom_fields, lists)
SELECT workspace_id, contact_id, fields, custom_fields, lists
  FROM jsonb_to_recordset(:rows::jsonb) AS written (
       workspace_id uuid, contact_id uuid, fields jsonb, custom_fields jsonb, lists uuid[])
    ON CONFLICT (workspace_id, contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists;

-- name: forget(workspace_ids, contact_ids)!
-- Forget contacts that are gone.
DELETE FROM contact
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE contact.workspace_id = gone.workspace_id AND contact.contact_id = gone.contact_id;
