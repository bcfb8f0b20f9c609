-- name: add(refusal_ids, workspace_ids, flow_ids, contact_ids, source_ids, entry_sources, reasons, refused_ats)!
-- Refusals; one that is there already stays. What is repeated is not older than the topic keeps.
INSERT INTO refusal (
       refusal_id, workspace_id, flow_id, contact_id, source_id, entry_source, reason, refused_at)
SELECT DISTINCT ON (refusal_id) *
  FROM unnest(:refusal_ids::uuid[], :workspace_ids::uuid[], :flow_ids::uuid[],
              :contact_ids::uuid[], :source_ids::text[], :entry_sources::text[],
              :reasons::text[], :refused_ats::timestamptz[])
       AS refused (refusal_id, workspace_id, flow_id, contact_id, source_id, entry_source, reason,
                   refused_at)
 WHERE NOT EXISTS (SELECT FROM refusal
                    WHERE refusal.refusal_id = refused.refusal_id
                      AND refusal.stored_at > now() - interval '31 days');

-- name: page(workspace_id, flow_id, contact_id, at_most, skip)
-- Refusals of a workspace, newest first, each with how many there are in all.
WITH found AS NOT MATERIALIZED (
    SELECT * FROM refusal
     WHERE workspace_id = :workspace_id
       AND (:flow_id::uuid IS NULL OR flow_id = :flow_id)
       AND (:contact_id::uuid IS NULL OR contact_id = :contact_id)
), page AS (
    SELECT * FROM found
     ORDER BY refused_at DESC, refusal_id
     LIMIT :at_most::int OFFSET :skip::int
)
SELECT page.*, total
  FROM (SELECT count(*) AS total FROM found) AS counted
  LEFT JOIN page ON true
 ORDER BY refused_at DESC, refusal_id;
