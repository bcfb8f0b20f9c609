-- name: add(email_id, workspace_id, content, now)!
-- A new draft.
INSERT INTO email (email_id, workspace_id, version, status, content, created_at, updated_at)
VALUES (:email_id, :workspace_id, 1, 'draft', :content::jsonb, :now, :now);

-- name: read(workspace_id, email_id)^
-- One mail.
SELECT * FROM email WHERE workspace_id = :workspace_id AND email_id = :email_id;

-- name: lock(workspace_id, email_id)^
-- One mail, for a change of it.
SELECT * FROM email WHERE workspace_id = :workspace_id AND email_id = :email_id FOR UPDATE;

-- name: change(workspace_id, email_id, content, text_is_stale, now)^
-- A new version of a draft.
UPDATE email
   SET version = version + 1,
       content = :content::jsonb,
       text_is_stale = :text_is_stale,
       updated_at = :now
 WHERE workspace_id = :workspace_id AND email_id = :email_id
RETURNING *;

-- name: change_status(workspace_id, email_id, status, contact_tags, approved_at, now)^
-- A new version of a mail that is approved now, or no longer.
UPDATE email
   SET version = version + 1,
       status = :status,
       contact_tags = :contact_tags::text[],
       approved_at = :approved_at::timestamptz,
       updated_at = :now
 WHERE workspace_id = :workspace_id AND email_id = :email_id
RETURNING *;

-- name: delete(workspace_id, email_id)!
-- A mail that nobody wants any more.
DELETE FROM email WHERE workspace_id = :workspace_id AND email_id = :email_id;

-- name: page(workspace_id, at_most, skip)
-- Mails of a workspace, newest first, each with how many there are in all.
WITH found AS NOT MATERIALIZED (
    SELECT * FROM email WHERE workspace_id = :workspace_id
), page AS (
    SELECT * FROM found
     ORDER BY created_at DESC, email_id
     LIMIT :at_most::int OFFSET :skip::int
)
SELECT page.*, total
  FROM (SELECT count(*) AS total FROM found) AS counted
  LEFT JOIN page ON true
 ORDER BY created_at DESC, email_id;

-- name: known(workspace_id, email_ids)
-- What a flow that sends these mails must know of them; nobody may change that while we look.
SELECT email_id, status, contact_tags, coalesce(content ->> 'text' = '', false) AS without_text
  FROM email
 WHERE workspace_id = :workspace_id AND email_id = ANY (:email_ids::uuid[])
 ORDER BY email_id
   FOR SHARE;
