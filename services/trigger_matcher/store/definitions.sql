-- name: put(flow_ids, versions, definitions)!
-- Take definitions in; an older version never replaces a newer one.
INSERT INTO flow_triggers AS mine (flow_id, version, definition, revision)
SELECT flow_id, version, definition, nextval('flow_triggers_revision')
  FROM unnest(:flow_ids::uuid[], :versions::int[], :definitions::jsonb[])
       AS taken (flow_id, version, definition)
    ON CONFLICT (flow_id) DO UPDATE
   SET version = EXCLUDED.version, definition = EXCLUDED.definition, revision = EXCLUDED.revision
 WHERE mine.version < EXCLUDED.version;

-- name: changed_since(revision)
-- Definitions that were taken in after a revision, in that order.
SELECT revision, definition
  FROM flow_triggers
 WHERE revision > :revision
 ORDER BY revision;
