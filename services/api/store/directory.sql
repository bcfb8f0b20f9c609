-- name: read_contacts(workspace_ids, contact_ids)
-- These contacts, each given with its workspace.
SELECT contact.*
  FROM contact
  JOIN (SELECT DISTINCT * FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[])
           AS pair (workspace_id, contact_id)) AS wanted
 USING (workspace_id, contact_id);

-- name: write_contacts(rows)!
-- Write contacts as they are now.
INSERT INTO contact AS mine (
       workspace_id, contact_id, fields, custom_fields, lists, created_at, updated_at)
SELECT workspace_id, contact_id, fields, custom_fields, lists, created_at, updated_at
  FROM jsonb_to_recordset(:rows::jsonb) AS written (
       workspace_id uuid, contact_id uuid, fields jsonb, custom_fields jsonb, lists uuid[],
       created_at timestamptz, updated_at timestamptz)
    ON CONFLICT (workspace_id, contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists,
       updated_at = EXCLUDED.updated_at;

-- name: forget_contacts(workspace_ids, contact_ids)!
-- Forget contacts that are gone.
DELETE FROM contact
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE contact.workspace_id = gone.workspace_id AND contact.contact_id = gone.contact_id;

-- name: by_emails(workspace_id, emails)
-- Contacts with these addresses, given in lower case.
SELECT contact_id, lower(fields ->> 'email') AS email
  FROM contact
 WHERE workspace_id = :workspace_id AND lower(fields ->> 'email') = ANY (:emails::text[]);

-- name: put_lists(workspace_ids, list_ids, names, now)!
-- See that lists exist; one that does keeps its name.
INSERT INTO contact_list (workspace_id, list_id, name, created_at)
SELECT DISTINCT ON (workspace_id, list_id) workspace_id, list_id, name, :now::timestamptz
  FROM unnest(:workspace_ids::uuid[], :list_ids::uuid[], :names::text[])
       AS wanted (workspace_id, list_id, name)
    ON CONFLICT DO NOTHING;

-- name: name_list(workspace_id, list_id, name, now)^
-- A list under its name. One that exists keeps it, unless only events have named it so far: then it
-- is called after its id.
INSERT INTO contact_list AS mine (workspace_id, list_id, name, created_at)
VALUES (:workspace_id, :list_id, :name, :now)
    ON CONFLICT (workspace_id, list_id) DO UPDATE
   SET name = CASE WHEN mine.name = mine.list_id::text THEN EXCLUDED.name ELSE mine.name END
RETURNING list_id, name, created_at;

-- name: lists(workspace_id)
-- Every list of a workspace.
SELECT list_id, name, created_at FROM contact_list
 WHERE workspace_id = :workspace_id
 ORDER BY created_at, list_id;

-- name: add_custom_field(custom_field_id, workspace_id, name, api_name, type)$
-- A new custom field; null if its api name is taken.
INSERT INTO custom_field (custom_field_id, workspace_id, name, api_name, type)
VALUES (:custom_field_id, :workspace_id, :name, :api_name, :type)
    ON CONFLICT DO NOTHING
RETURNING custom_field_id;

-- name: custom_fields(workspace_id)
-- Every custom field of a workspace.
SELECT custom_field_id, name, api_name, type FROM custom_field
 WHERE workspace_id = :workspace_id
 ORDER BY api_name;
