-- name: hold(workspace_id)!
-- Let nobody else add or change custom fields of this workspace until the transaction ends.
SELECT pg_advisory_xact_lock(hashtextextended('custom_field ' || :workspace_id::uuid::text, 0));

-- name: keep(workspace_id)!
-- Let nobody add or change custom fields of this workspace until the transaction ends; others may ask
-- for the same meanwhile.
SELECT pg_advisory_xact_lock_shared(
       hashtextextended('custom_field ' || :workspace_id::uuid::text, 0));

-- name: add(custom_field_id, workspace_id, name, api_name, type)$
-- A new custom field; null if its api name is taken.
INSERT INTO custom_field (custom_field_id, workspace_id, name, api_name, type)
VALUES (:custom_field_id, :workspace_id, :name, :api_name, :type)
    ON CONFLICT DO NOTHING
RETURNING custom_field_id;

-- name: change(workspace_id, custom_field_id, name, active)^
-- Another name, or another state; null leaves either as it is. Nothing if there is no such field.
UPDATE custom_field
   SET name = coalesce(:name::text, name), active = coalesce(:active::boolean, active)
 WHERE workspace_id = :workspace_id AND custom_field_id = :custom_field_id
RETURNING custom_field_id, name, api_name, type, active;
