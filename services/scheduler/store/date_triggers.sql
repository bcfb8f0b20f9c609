-- name: read(flow_ids)
-- The date triggers of these flows, also those that fire no more.
SELECT flow_id, trigger_id, workspace_id, flow_version, settings, active_since
  FROM date_trigger
 WHERE flow_id = ANY (:flow_ids::uuid[]);

-- name: put(flow_ids, trigger_ids, workspaces, versions, settings, active_sinces)!
-- Take changes of triggers in.
INSERT INTO date_trigger AS mine (
       flow_id, trigger_id, workspace_id, flow_version, settings, active_since, revision)
SELECT flow_id, trigger_id, workspace_id, flow_version, settings,
       active_since, nextval('date_trigger_revision')
  FROM unnest(:flow_ids::uuid[], :trigger_ids::text[], :workspaces::uuid[], :versions::int[],
              :settings::jsonb[], :active_sinces::timestamptz[])
       AS changed (flow_id, trigger_id, workspace_id, flow_version, settings, active_since)
    ON CONFLICT (flow_id, trigger_id) DO UPDATE
   SET flow_version = EXCLUDED.flow_version,
       settings = EXCLUDED.settings,
       active_since = EXCLUDED.active_since,
       revision = EXCLUDED.revision;

-- name: changed_since(revision)
-- Triggers that were changed after a revision, in that order; to begin with, those that fire.
SELECT flow_id, trigger_id, workspace_id, flow_version, settings, active_since, revision
  FROM date_trigger
 WHERE revision > :revision::bigint AND (settings IS NOT NULL OR :revision::bigint > 0)
 ORDER BY revision;
