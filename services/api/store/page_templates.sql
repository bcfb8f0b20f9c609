-- name: add(template_id, workspace_id, name, html, now)!
-- A new draft.
INSERT INTO page_template (
       template_id, workspace_id, version, status, name, html, created_at, updated_at)
VALUES (:template_id, :workspace_id, 1, 'draft', :name, :html, :now, :now);

-- name: read(workspace_id, template_id)^
-- One template.
SELECT * FROM page_template WHERE workspace_id = :workspace_id AND template_id = :template_id;

-- name: lock(workspace_id, template_id)^
-- One template, for a change of it.
SELECT * FROM page_template
 WHERE workspace_id = :workspace_id AND template_id = :template_id
   FOR UPDATE;

-- name: change(workspace_id, template_id, name, html, status, approved_at, now)^
-- A new version of a template.
UPDATE page_template
   SET version = version + 1,
       name = :name,
       html = :html,
       status = :status,
       approved_at = :approved_at::timestamptz,
       updated_at = :now
 WHERE workspace_id = :workspace_id AND template_id = :template_id
RETURNING *;

-- name: delete(workspace_id, template_id)!
-- A template that nobody wants any more.
DELETE FROM page_template WHERE workspace_id = :workspace_id AND template_id = :template_id;

-- name: page(workspace_id, at_most, skip)
-- Templates of a workspace without their HTML, newest first, each with how many there are in all.
WITH found AS NOT MATERIALIZED (
    SELECT template_id, workspace_id, version, status, name, '' AS html, approved_at, created_at,
           updated_at
      FROM page_template
     WHERE workspace_id = :workspace_id
), page AS (
    SELECT * FROM found
     ORDER BY created_at DESC, template_id
     LIMIT :at_most::int OFFSET :skip::int
)
SELECT page.*, total
  FROM (SELECT count(*) AS total FROM found) AS counted
  LEFT JOIN page ON true
 ORDER BY created_at DESC, template_id;

-- name: statuses(workspace_id, template_ids)
-- Whether these templates are approved; nobody may change that while we look.
SELECT template_id, status FROM page_template
 WHERE workspace_id = :workspace_id AND template_id = ANY (:template_ids::text[])
 ORDER BY template_id
   FOR SHARE;

-- name: approved(workspace_ids, template_ids)
-- The HTML of those of these templates that are approved.
SELECT workspace_id, template_id, html
  FROM page_template
  JOIN (SELECT DISTINCT * FROM unnest(:workspace_ids::uuid[], :template_ids::text[])
           AS pair (workspace_id, template_id)) AS wanted
 USING (workspace_id, template_id)
 WHERE status = 'approved';
