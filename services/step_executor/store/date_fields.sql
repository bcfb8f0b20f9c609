-- name: add(workspaces, fields)
-- Fields that date triggers go by from now on; those that are new are given back. Two who add the
-- same one wait for each other, and one of them is given it.
INSERT INTO date_field (workspace_id, field)
SELECT DISTINCT workspace_id, field
  FROM unnest(:workspaces::uuid[], :fields::text[]) AS named (workspace_id, field)
 ORDER BY workspace_id, field
    ON CONFLICT DO NOTHING
RETURNING workspace_id, field;

-- name: read(workspaces)
-- The fields that date triggers of these workspaces go by, or have gone by.
SELECT workspace_id, array_agg(field) AS fields
  FROM date_field
 WHERE workspace_id = ANY (:workspaces::uuid[])
 GROUP BY workspace_id;
