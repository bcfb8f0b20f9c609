-- name: ask(page_ids, workspace_ids, contact_ids, membership_ids, hops, generated, asked)!
-- Pages to be made, each once.
INSERT INTO web_page (page_id, workspace_id, contact_id, membership_id, hop, generated, asked)
SELECT page_id, workspace_id, contact_id, membership_id, hop, generated, asked
  FROM unnest(:page_ids::uuid[], :workspace_ids::uuid[], :contact_ids::uuid[],
              :membership_ids::uuid[], :hops::int[], :generated::boolean[], :asked::json[])
       AS fresh (page_id, workspace_id, contact_id, membership_id, hop, generated, asked)
 WHERE NOT EXISTS (SELECT 1 FROM web_page WHERE web_page.page_id = fresh.page_id);

-- name: is_any_due()$
-- Whether there is a page to be made now.
SELECT EXISTS (SELECT 1 FROM web_page WHERE status = 'requested' AND next_attempt_at <= now());

-- name: waiting_workspaces(generated, after, at_most)
-- Some workspaces with pages that are to be made, now or later, in order of their ids: it is one step
-- in the index from each to the next, however many pages it has.
WITH RECURSIVE waiting AS (
    (SELECT workspace_id, 1 AS number
       FROM web_page
      WHERE status = 'requested' AND generated = :generated::boolean AND workspace_id > :after
      ORDER BY workspace_id
      LIMIT 1)
    UNION ALL
    SELECT following.workspace_id, waiting.number + 1
      FROM waiting,
           LATERAL (SELECT web_page.workspace_id
                      FROM web_page
                     WHERE web_page.status = 'requested'
                       AND web_page.generated = :generated
                       AND web_page.workspace_id > waiting.workspace_id
                     ORDER BY web_page.workspace_id
                     LIMIT 1) AS following
     WHERE waiting.number < :at_most::int
)
SELECT workspace_id FROM waiting;

-- name: due(generated, workspaces, each)
-- Some pages of each of these workspaces that are to be made now, and whether their runs go on;
-- another process takes others.
SELECT due.*,
       EXISTS (SELECT 1 FROM membership WHERE membership.membership_id = due.membership_id) AS live
  FROM unnest(:workspaces::uuid[]) AS turn (workspace_id),
       LATERAL (SELECT page_id, stored_at, workspace_id, contact_id, membership_id, hop, asked,
                       attempt
                  FROM web_page
                 WHERE web_page.status = 'requested'
                   AND web_page.generated = :generated::boolean
                   AND web_page.workspace_id = turn.workspace_id
                   AND web_page.next_attempt_at <= now()
                 ORDER BY web_page.next_attempt_at
                 LIMIT :each::int
                   FOR UPDATE SKIP LOCKED) AS due;

-- name: claim(page_ids, stored_ats, seconds)!
-- Let nobody else make these pages for so long.
UPDATE web_page
   SET attempt = attempt + 1,
       next_attempt_at = now() + make_interval(secs => :seconds::float8)
  FROM unnest(:page_ids::uuid[], :stored_ats::timestamptz[]) AS mine (page_id, stored_at)
 WHERE web_page.page_id = mine.page_id AND web_page.stored_at = mine.stored_at;

-- name: put_off(page_id, stored_at, attempt, seconds)!
-- Make a page later, unless somebody else is at it by now.
UPDATE web_page
   SET next_attempt_at = now() + make_interval(secs => :seconds::float8)
 WHERE page_id = :page_id
   AND stored_at = :stored_at
   AND status = 'requested'
   AND attempt = :attempt;

-- name: hold(page_ids, stored_ats)
-- Those of these pages that are still to be made; nobody else takes them meanwhile.
SELECT web_page.page_id
  FROM web_page
  JOIN unnest(:page_ids::uuid[], :stored_ats::timestamptz[]) AS mine (page_id, stored_at)
 USING (page_id, stored_at)
 WHERE status = 'requested'
   FOR UPDATE OF web_page;

-- name: take_aliases(workspace_ids, aliases, page_ids, stored_ats)
-- Give pages their aliases, where nobody has them. In order, so that two who do so at the same time
-- do not wait in a circle.
INSERT INTO page_alias (workspace_id, alias, page_id, stored_at)
SELECT workspace_id, alias, page_id, stored_at
  FROM unnest(:workspace_ids::uuid[], :aliases::text[], :page_ids::uuid[],
              :stored_ats::timestamptz[]) AS wanted (workspace_id, alias, page_id, stored_at)
 ORDER BY workspace_id, alias, page_id
    ON CONFLICT DO NOTHING
RETURNING page_id;

-- name: finish(page_ids, stored_ats, statuses, names, aliases, htmls, warnings, reasons)!
-- Pages that are made, or will not be.
UPDATE web_page
   SET status = finished.status,
       asked = NULL,
       name = finished.name,
       alias = finished.alias,
       html = finished.html,
       warnings = finished.warnings::text[],
       reason = finished.reason
  FROM unnest(:page_ids::uuid[], :stored_ats::timestamptz[], :statuses::text[], :names::text[],
              :aliases::text[], :htmls::text[], :warnings::text[], :reasons::text[])
       AS finished (page_id, stored_at, status, name, alias, html, warnings, reason)
 WHERE web_page.page_id = finished.page_id AND web_page.stored_at = finished.stored_at;

-- name: by_alias(workspace_id, alias)$
-- The HTML of the page that has an alias.
SELECT html
  FROM page_alias
  JOIN web_page USING (page_id, stored_at)
 WHERE page_alias.workspace_id = :workspace_id
   AND page_alias.alias = :alias
   AND status = 'published';

-- name: by_id(workspace_id, page_id)$
-- The HTML of a page.
SELECT html FROM web_page
 WHERE workspace_id = :workspace_id AND page_id = :page_id AND status = 'published';

-- name: erase(workspace_ids, contact_ids)!
-- Erase the pages of these contacts, and what they were called.
WITH erased AS (
    DELETE FROM web_page
     USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[])
           AS gone (workspace_id, contact_id)
     WHERE web_page.workspace_id = gone.workspace_id AND web_page.contact_id = gone.contact_id
    RETURNING web_page.workspace_id, web_page.alias, web_page.page_id
)
DELETE FROM page_alias
 USING erased
 WHERE page_alias.workspace_id = erased.workspace_id
   AND page_alias.alias = erased.alias
   AND page_alias.page_id = erased.page_id;

-- name: drop_aliases(days, at_most)!
-- Aliases of pages that are no longer kept, some at a time.
DELETE FROM page_alias
 WHERE (workspace_id, alias) IN (
       SELECT workspace_id, alias
         FROM page_alias
        WHERE stored_at < now() - make_interval(secs => :days::float8 * 86400)
        ORDER BY stored_at
        LIMIT :at_most::int);
