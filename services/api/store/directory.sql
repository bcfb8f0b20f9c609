-- name: hold_contacts(workspace_ids, contact_ids)!
-- Let nobody else change these contacts until the transaction ends, nor bring into being those that
-- are not there yet. In order, so that two who hold the same ones do not wait in a circle.
SELECT pg_advisory_xact_lock(held.key)
  FROM (SELECT DISTINCT hashtextextended(workspace_id::text || contact_id::text, 0) AS key
          FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[])
               AS held (workspace_id, contact_id)
         ORDER BY key) AS held;

-- name: read_contacts(workspace_ids, contact_ids)
-- These contacts, each given with its workspace.
SELECT contact.*
  FROM contact
  JOIN (SELECT DISTINCT * FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[])
           AS pair (workspace_id, contact_id)) AS wanted
 USING (workspace_id, contact_id);

-- name: write_contacts(workspace_ids, contact_ids, fields, custom_fields, lists, created_ats, updated_ats)!
-- Write contacts as they are now.
INSERT INTO contact (
       workspace_id, contact_id, fields, custom_fields, lists, created_at, updated_at)
SELECT workspace_id, contact_id, fields::jsonb, custom_fields::jsonb, lists::uuid[],
       date_trunc('milliseconds', created_at), date_trunc('milliseconds', updated_at)
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[], :fields::text[],
              :custom_fields::text[], :lists::text[], :created_ats::timestamptz[],
              :updated_ats::timestamptz[])
       AS written (workspace_id, contact_id, fields, custom_fields, lists, created_at, updated_at)
    ON CONFLICT (workspace_id, contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists,
       created_at = EXCLUDED.created_at,
       updated_at = EXCLUDED.updated_at;

-- name: delete_contacts(workspace_ids, contact_ids)!
-- Delete contacts that are gone.
DELETE FROM contact
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE contact.workspace_id = gone.workspace_id AND contact.contact_id = gone.contact_id;

-- name: by_emails(workspace_id, emails)
-- Contacts with these addresses, given in lower case.
SELECT contact_id, lower(fields ->> 'email') AS email
  FROM contact
 WHERE workspace_id = :workspace_id AND lower(fields ->> 'email') = ANY (:emails::text[]);

-- name: known_lists(workspace_ids, list_ids)
-- Which of these lists exist.
SELECT workspace_id, list_id
  FROM contact_list
  JOIN unnest(:workspace_ids::uuid[], :list_ids::uuid[]) AS wanted (workspace_id, list_id)
 USING (workspace_id, list_id);

-- name: put_lists(workspace_ids, list_ids, named_ats)!
-- See that lists exist that only events have named so far; each is called after its id.
INSERT INTO contact_list (workspace_id, list_id, name, created_at)
SELECT workspace_id, list_id, list_id::text, named_at
  FROM unnest(:workspace_ids::uuid[], :list_ids::uuid[], :named_ats::timestamptz[])
       AS named (workspace_id, list_id, named_at)
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
