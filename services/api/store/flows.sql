-- name: add(flow_id, workspace_id, dialect, name, description, document, definition, compiler, readable_in, now)^
-- A new draft.
INSERT INTO flow (flow_id, workspace_id, version, status, dialect, name, description, document,
                  definition, compiler, readable_in, created_at, updated_at)
VALUES (:flow_id, :workspace_id, 1, 'draft', :dialect, :name, :description, :document::json,
        :definition::jsonb, :compiler, :readable_in::text[], :now, :now)
RETURNING *;

-- name: read(workspace_id, flow_id)^
-- One flow.
SELECT * FROM flow
 WHERE workspace_id = :workspace_id AND flow_id = :flow_id AND status <> 'deleted';

-- name: lock(workspace_id, flow_id)^
-- One flow, for a change of it.
SELECT * FROM flow
 WHERE workspace_id = :workspace_id AND flow_id = :flow_id AND status <> 'deleted'
   FOR UPDATE;

-- name: change(workspace_id, flow_id, name, description, document, definition, compiler, readable_in, status, published, archived_at, now)^
-- A new version of a flow.
UPDATE flow
   SET version = version + 1,
       name = :name,
       description = :description,
       document = :document::json,
       definition = :definition::jsonb,
       compiler = :compiler,
       readable_in = :readable_in::text[],
       status = :status,
       published_version = CASE WHEN :published THEN version + 1 ELSE published_version END,
       archived_at = :archived_at::timestamptz,
       updated_at = :now
 WHERE workspace_id = :workspace_id AND flow_id = :flow_id
RETURNING *;

-- name: page(workspace_id, dialect, shown_in, statuses, search, sort_by, descending, at_most, skip)
-- Flows of a workspace, one page of them, each with how many there are in all.
WITH found AS (
    SELECT *, row_number() OVER (
           ORDER BY CASE WHEN :sort_by = 'name' AND NOT :descending THEN lower(name) END,
                    CASE WHEN :sort_by = 'name' AND :descending THEN lower(name) END DESC,
                    CASE WHEN :sort_by = 'created_at' AND NOT :descending THEN created_at
                         WHEN :sort_by = 'updated_at' AND NOT :descending THEN updated_at END,
                    CASE WHEN :sort_by = 'created_at' AND :descending THEN created_at
                         WHEN :sort_by = 'updated_at' AND :descending THEN updated_at END DESC,
                    flow_id) AS place
      FROM flow
     WHERE workspace_id = :workspace_id
       AND status = ANY (:statuses::text[])
       AND (:dialect::text IS NULL OR dialect = :dialect)
       AND (:shown_in::text IS NULL OR :shown_in = ANY (readable_in))
       AND (:search::text IS NULL OR strpos(lower(name), lower(:search)) > 0
            OR strpos(lower(description), lower(:search)) > 0)
)
SELECT found.*, total
  FROM (SELECT count(*) AS total FROM found) AS counted
  LEFT JOIN found ON place > :skip::int AND place <= :skip + :at_most::int
 ORDER BY place;

-- name: active_naming(workspace_id, some_id)
-- Active flows in whose definition an id stands, wherever.
SELECT * FROM flow
 WHERE workspace_id = :workspace_id
   AND status = 'active'
   AND strpos(definition::text, :some_id::text) > 0;

-- name: lock_dependants(workspace_id, needs_id, after_id, at_most)
-- Some of the flows that depend on something, in the order of their ids, for a change of them.
SELECT flow.*
  FROM flow_dependency JOIN flow USING (workspace_id, flow_id)
 WHERE workspace_id = :workspace_id
   AND needs_id = :needs_id
   AND flow_id > coalesce(:after_id::uuid, '00000000-0000-0000-0000-000000000000')
 ORDER BY flow_id
 LIMIT :at_most::int
   FOR UPDATE OF flow;

-- name: republish(flow_ids, versions, definitions, compilers)!
-- Flows as they are published anew. Their authors changed nothing: `updated_at` stays.
UPDATE flow AS mine
   SET version = anew.version,
       published_version = anew.version,
       definition = anew.definition,
       compiler = anew.compiler
  FROM unnest(:flow_ids::uuid[], :versions::int[], :definitions::jsonb[], :compilers::int[])
       AS anew (flow_id, version, definition, compiler)
 WHERE mine.flow_id = anew.flow_id;
