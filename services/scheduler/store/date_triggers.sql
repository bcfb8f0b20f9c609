-- name: read(flow_ids)
-- The date triggers of these flows, also those that are closed.
SELECT flow_id, trigger_id, workspace_id, flow_version, settings, active_since, active_until
  FROM date_trigger
 WHERE flow_id = ANY (:flow_ids::uuid[]);

-- name: put(flow_ids, trigger_ids, workspaces, versions, settings, active_sinces, active_untils)!
-- Open triggers, or close those that are open.
INSERT INTO date_trigger AS mine (
       flow_id, trigger_id, workspace_id, flow_version, settings, active_since, active_until)
SELECT *
  FROM unnest(:flow_ids::uuid[], :trigger_ids::text[], :workspaces::uuid[], :versions::int[],
              :settings::jsonb[], :active_sinces::timestamptz[], :active_untils::timestamptz[])
    ON CONFLICT (flow_id, trigger_id, flow_version) DO UPDATE
   SET active_until = EXCLUDED.active_until, revision = EXCLUDED.revision;

-- name: forget(flow_ids, before)!
-- Forget what was closed long ago of these flows.
DELETE FROM date_trigger
 WHERE flow_id = ANY (:flow_ids::uuid[]) AND active_until < :before::timestamptz;

-- name: changed_since(revision)
-- Triggers that were changed after a revision, in that order.
SELECT flow_id, trigger_id, workspace_id, flow_version, settings, active_since, active_until,
       opened, revision
  FROM date_trigger
 WHERE revision > :revision::bigint
 ORDER BY revision;
