-- name: remember_new(workspaces, sources, event_ids)
-- Remember these events; return the ones not seen before.
INSERT INTO seen_event (workspace_id, source, event_id)
SELECT workspace_id, source, event_id
  FROM unnest(:workspaces::uuid[], :sources::text[], :event_ids::text[])
       AS fresh (workspace_id, source, event_id)
    ON CONFLICT DO NOTHING
RETURNING workspace_id, source, event_id;

-- name: forget(keep_days, at_most)$
-- Forget some events that were seen long ago; say how many.
WITH old AS (
    SELECT workspace_id, source, event_id
      FROM seen_event
     WHERE seen_at < now() - make_interval(secs => :keep_days::float8 * 86400)
     ORDER BY seen_at
     LIMIT :at_most::int
), gone AS (
    DELETE FROM seen_event USING old
     WHERE (seen_event.workspace_id, seen_event.source, seen_event.event_id)
         = (old.workspace_id, old.source, old.event_id)
    RETURNING 1
)
SELECT count(*) FROM gone;
