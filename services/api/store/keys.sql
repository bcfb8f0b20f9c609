-- name: put_workspace(workspace_id)!
-- See that a workspace exists.
INSERT INTO workspace (workspace_id) VALUES (:workspace_id) ON CONFLICT DO NOTHING;

-- name: put_key(prefix, digest, workspace_id)!
-- See that a key exists.
INSERT INTO api_key (prefix, digest, workspace_id)
VALUES (:prefix, :digest, :workspace_id)
    ON CONFLICT DO NOTHING;

-- name: find(prefix)^
-- The key with a prefix, if it was not revoked.
SELECT digest, workspace_id FROM api_key WHERE prefix = :prefix AND revoked_at IS NULL;
