-- name: name_list(workspace_id, list_id, name, description, now)^
-- A static list under its name. One that exists stays as it is, unless only events have named it so
-- far: then it is called after its id.
INSERT INTO contact_list AS mine (workspace_id, list_id, name, description, created_at, updated_at)
VALUES (:workspace_id, :list_id, :name, :description, :now, :now)
    ON CONFLICT (workspace_id, list_id) DO UPDATE
   SET name = CASE WHEN mine.name = mine.list_id::text THEN EXCLUDED.name ELSE mine.name END,
       description = CASE WHEN mine.name = mine.list_id::text THEN EXCLUDED.description
                          ELSE mine.description END
RETURNING *;

-- name: add_dynamic(workspace_id, list_id, name, description, rules, written, rests_on, now)^
-- A dynamic list; nothing if there is a list with this id.
INSERT INTO contact_list (workspace_id, list_id, kind, name, description, rules, written,
                          rests_on, created_at, updated_at)
VALUES (:workspace_id, :list_id, 'dynamic', :name, :description, :rules::jsonb, :written::json,
        :rests_on::uuid[], :now, :now)
    ON CONFLICT DO NOTHING
RETURNING *;

-- name: change(workspace_id, list_id, name, description, rules, written, rests_on, now)^
-- A list as it is from now on.
UPDATE contact_list
   SET name = :name, description = :description, rules = :rules::jsonb,
       written = :written::json, rests_on = :rests_on::uuid[], updated_at = :now
 WHERE workspace_id = :workspace_id AND list_id = :list_id
RETURNING *;

-- name: hold(workspace_id)!
-- Let nobody else change the rules of this workspace's lists until the transaction ends: two who
-- change one each could make a circle together.
SELECT pg_advisory_xact_lock(hashtextextended('contact_list ' || :workspace_id::uuid::text, 0));

-- name: read(workspace_id, list_ids)
-- These lists.
SELECT * FROM contact_list
 WHERE workspace_id = :workspace_id AND list_id = ANY (:list_ids::uuid[]);

-- name: below(workspace_id, list_ids)
-- These lists, and all that their rules ask about, to any depth.
WITH RECURSIVE below (list_id) AS (
    SELECT unnest(:list_ids::uuid[])
     UNION
    SELECT unnest(rests_on)
      FROM below JOIN contact_list USING (list_id)
     WHERE workspace_id = :workspace_id
)
SELECT contact_list.* FROM below JOIN contact_list USING (list_id)
 WHERE workspace_id = :workspace_id;

-- name: keep(workspace_id)!
-- Let nobody change the rules of this workspace's lists, or add a dynamic one, until the transaction
-- ends; others may ask for the same meanwhile.
SELECT pg_advisory_xact_lock_shared(
       hashtextextended('contact_list ' || :workspace_id::uuid::text, 0));

-- name: page(workspace_id, kinds, search, at_most, skip)
-- Lists of a workspace, oldest first, each with how many there are in all.
WITH found AS NOT MATERIALIZED (
    SELECT * FROM contact_list
     WHERE workspace_id = :workspace_id
       AND kind = ANY (:kinds::text[])
       AND (:search::text IS NULL OR strpos(lower(name), lower(:search)) > 0
            OR strpos(lower(description), lower(:search)) > 0)
), page AS (
    SELECT * FROM found
     ORDER BY created_at, list_id
     LIMIT :at_most::int OFFSET :skip::int
)
SELECT page.*, total
  FROM (SELECT count(*) AS total FROM found) AS counted
  LEFT JOIN page ON true
 ORDER BY created_at, list_id;

-- name: members(workspace_id, list_id, after_id, at_most, skip)
-- Contacts of a static list in the order of their ids, from the first on or after a given one.
SELECT contact.*
  FROM (SELECT contact_id FROM list_member
         WHERE workspace_id = :workspace_id AND list_id = :list_id
           AND contact_id > coalesce(:after_id::uuid, '00000000-0000-0000-0000-000000000000')
         ORDER BY contact_id
         LIMIT :at_most::int OFFSET :skip::int) AS member
  JOIN contact ON contact.workspace_id = :workspace_id AND contact.contact_id = member.contact_id
 ORDER BY contact.contact_id;

-- name: count_members(workspace_id, list_id, at_most)^
-- How many are on a static list; no further than it is asked to count.
SELECT count(*) AS total
  FROM (SELECT 1 FROM list_member
         WHERE workspace_id = :workspace_id AND list_id = :list_id
         LIMIT :at_most::int) AS counted;
