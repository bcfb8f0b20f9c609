-- name: lock_flows(flow_ids)
-- The newest definition of these flows, for a change of it.
SELECT flow_id, version, applied_version, definition
  FROM flow_definition
 WHERE flow_id = ANY (:flow_ids::uuid[])
 ORDER BY flow_id
   FOR UPDATE;

-- name: put_flows(flow_ids, versions, applied_versions, statuses, definitions)!
-- Take flows in; an older version never replaces a newer one.
INSERT INTO flow_definition AS mine (flow_id, version, applied_version, status, definition)
SELECT flow_id, version, applied_version, status, definition
  FROM unnest(:flow_ids::uuid[], :versions::int[], :applied_versions::int[], :statuses::text[],
              :definitions::jsonb[])
       AS taken (flow_id, version, applied_version, status, definition)
    ON CONFLICT (flow_id) DO UPDATE
   SET version = EXCLUDED.version,
       applied_version = EXCLUDED.applied_version,
       status = EXCLUDED.status,
       changed_at = now(),
       definition = EXCLUDED.definition
 WHERE mine.version < EXCLUDED.version;

-- name: put_emails(email_ids, versions, contents)!
-- Take mails in; an older version never replaces a newer one.
INSERT INTO email_definition AS mine (email_id, version, content)
SELECT email_id, version, content
  FROM unnest(:email_ids::uuid[], :versions::int[], :contents::jsonb[])
       AS taken (email_id, version, content)
    ON CONFLICT (email_id) DO UPDATE
   SET version = EXCLUDED.version, content = EXCLUDED.content
 WHERE mine.version < EXCLUDED.version;

-- name: flow_versions(flow_ids)
-- Which version of these flows is the newest here.
SELECT flow_id, version FROM flow_definition WHERE flow_id = ANY (:flow_ids::uuid[]);

-- name: applied_versions(flow_ids)
-- The last version of these flows that concerned those who were inside.
SELECT flow_id, applied_version FROM flow_definition WHERE flow_id = ANY (:flow_ids::uuid[]);

-- name: flows(flow_ids)
-- The newest definition of these flows.
SELECT definition FROM flow_definition WHERE flow_id = ANY (:flow_ids::uuid[]);

-- name: emails(email_ids)
-- The newest approved content of these mails.
SELECT content FROM email_definition WHERE email_id = ANY (:email_ids::uuid[]);
