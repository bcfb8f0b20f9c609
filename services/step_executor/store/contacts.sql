-- name: read(contact_ids)
-- What is known of these contacts.
SELECT contact_id, workspace_id, fields, custom_fields, lists
  FROM contact
 WHERE contact_id = ANY (:contact_ids::uuid[]);

-- name: write(rows)!
-- Write contacts as they are now.
INSERT INTO contact AS mine (contact_id, workspace_id, fields, custom_fields, lists)
SELECT contact_id, workspace_id, fields, custom_fields, lists
  FROM jsonb_to_recordset(:rows::jsonb) AS written (
       contact_id uuid, workspace_id uuid, fields jsonb, custom_fields jsonb, lists uuid[])
    ON CONFLICT (contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists;

-- name: forget(contact_ids)!
-- Forget contacts that are gone.
DELETE FROM contact WHERE contact_id = ANY (:contact_ids::uuid[]);
