-- name: hold_contacts(workspace_ids, contact_ids)!
-- Let nobody else change these contacts until the transaction ends, nor bring into being those that
-- are not there yet. In order, so that two who hold the same ones do not wait in a circle.
SELECT pg_advisory_xact_lock(held.key)
  FROM (SELECT DISTINCT hashtextextended(workspace_id::text || contact_id::text, 0) AS key
          FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[])
               AS held (workspace_id, contact_id)
         ORDER BY key) AS held;

-- name: read_contacts(workspace_ids, contact_ids)
-- These contacts, each given with its workspace.
SELECT contact.*
  FROM contact
  JOIN (SELECT DISTINCT * FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[])
           AS pair (workspace_id, contact_id)) AS wanted
 USING (workspace_id, contact_id);

-- name: write_contacts(workspace_ids, contact_ids, fields, custom_fields, lists, times, created_ats, updated_ats)!
-- Write contacts as they are now.
INSERT INTO contact (
       workspace_id, contact_id, fields, custom_fields, lists, times, created_at, updated_at)
SELECT workspace_id, contact_id, fields::jsonb, custom_fields::jsonb, lists::uuid[], times::json,
       date_trunc('milliseconds', created_at), date_trunc('milliseconds', updated_at)
  FROM unnest(:workspace_ids::uuid[], :contact_ids::uuid[], :fields::text[],
              :custom_fields::text[], :lists::text[], :times::text[],
              :created_ats::timestamptz[], :updated_ats::timestamptz[])
       AS written (workspace_id, contact_id, fields, custom_fields, lists, times, created_at,
                   updated_at)
    ON CONFLICT (workspace_id, contact_id) DO UPDATE
   SET fields = EXCLUDED.fields,
       custom_fields = EXCLUDED.custom_fields,
       lists = EXCLUDED.lists,
       times = EXCLUDED.times,
       created_at = EXCLUDED.created_at,
       updated_at = EXCLUDED.updated_at,
       revision = nextval('contact_revision');

-- name: delete_contacts(workspace_ids, contact_ids)!
-- Delete contacts that are gone.
DELETE FROM contact
 USING unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS gone (workspace_id, contact_id)
 WHERE contact.workspace_id = gone.workspace_id AND contact.contact_id = gone.contact_id;

-- name: by_emails(workspace_id, emails)
-- Contacts with these addresses, compared in lower case, each with the address that was asked for.
SELECT contact_id, wanted AS address
  FROM unnest(:emails::text[]) AS wanted
  JOIN contact ON workspace_id = :workspace_id AND lower(fields ->> 'email') = lower(wanted)
 ORDER BY created_at, contact_id;

-- name: by_phones(workspace_id, phones)
-- Contacts with these phone numbers, each with the number.
SELECT contact_id, wanted AS address
  FROM unnest(:phones::text[]) AS wanted
  JOIN contact ON workspace_id = :workspace_id AND fields ->> 'phone' = wanted
 ORDER BY created_at, contact_id;

-- name: newest(workspace_id, before_at, before_id, at_most, skip)
-- Contacts from the newest on, or from one that is given.
SELECT * FROM contact
 WHERE workspace_id = :workspace_id
   AND (created_at, contact_id) < (coalesce(:before_at::timestamptz, 'infinity'),
        coalesce(:before_id::uuid, 'ffffffff-ffff-ffff-ffff-ffffffffffff'))
 ORDER BY created_at DESC, contact_id DESC
 LIMIT :at_most::int OFFSET :skip::int;

-- name: count_contacts(workspace_id, at_most)^
-- How many contacts there are; no further than it is asked to count.
SELECT count(*) AS total
  FROM (SELECT 1 FROM contact WHERE workspace_id = :workspace_id LIMIT :at_most::int) AS counted;

-- name: searched(workspace_id, email, phone, beginning, each, at_most, skip)
-- Contacts with this address, or this number, or an address or name that begins like this, newest
-- first, each with how many there are. Of each kind no more than `each` are looked at.
WITH beginning AS (
    SELECT lower(:beginning::text) AS low, lower(:beginning::text) || U&'\+10FFFF' AS high
), found AS (
    (SELECT contact_id, created_at FROM contact
      WHERE workspace_id = :workspace_id AND lower(fields ->> 'email') = lower(:email::text)
      LIMIT :each::int)
    UNION
    (SELECT contact_id, created_at FROM contact
      WHERE workspace_id = :workspace_id AND fields ->> 'phone' = :phone::text
      LIMIT :each::int)
    UNION
    (SELECT contact_id, created_at FROM contact, beginning
      WHERE workspace_id = :workspace_id
        AND lower(fields ->> 'email') ~>=~ low AND lower(fields ->> 'email') ~<~ high
      LIMIT :each::int)
    UNION
    (SELECT contact_id, created_at FROM contact, beginning
      WHERE workspace_id = :workspace_id
        AND lower(coalesce(fields ->> 'displayName', coalesce(fields ->> 'firstName' || ' ', '')
            || coalesce(fields ->> 'lastName', ''))) ~>=~ low
        AND lower(coalesce(fields ->> 'displayName', coalesce(fields ->> 'firstName' || ' ', '')
            || coalesce(fields ->> 'lastName', ''))) ~<~ high
      LIMIT :each::int)
), page AS (
    SELECT contact_id, created_at FROM found
     ORDER BY created_at DESC, contact_id DESC
     LIMIT :at_most::int OFFSET :skip::int
), counted AS (
    SELECT count(*) AS total FROM found
)
SELECT contact.*, total
  FROM counted
  LEFT JOIN page ON true
  LEFT JOIN contact
    ON workspace_id = :workspace_id AND contact.contact_id = page.contact_id
 ORDER BY page.created_at DESC, page.contact_id DESC;

-- name: put_members(workspace_ids, list_ids, contact_ids)!
-- Contacts that came on lists.
INSERT INTO list_member (workspace_id, list_id, contact_id)
SELECT * FROM unnest(:workspace_ids::uuid[], :list_ids::uuid[], :contact_ids::uuid[])
    ON CONFLICT DO NOTHING;

-- name: remove_members(workspace_ids, list_ids, contact_ids)!
-- Contacts that went off lists.
DELETE FROM list_member AS mine
 USING unnest(:workspace_ids::uuid[], :list_ids::uuid[], :contact_ids::uuid[])
       AS gone (workspace_id, list_id, contact_id)
 WHERE mine.workspace_id = gone.workspace_id
   AND mine.list_id = gone.list_id
   AND mine.contact_id = gone.contact_id;

-- name: known_lists(workspace_ids, list_ids)
-- Which of these lists exist.
SELECT workspace_id, list_id
  FROM contact_list
  JOIN unnest(:workspace_ids::uuid[], :list_ids::uuid[]) AS wanted (workspace_id, list_id)
 USING (workspace_id, list_id);

-- name: put_lists(workspace_ids, list_ids, named_ats)!
-- See that lists exist that only events have named so far; each is called after its id.
INSERT INTO contact_list (workspace_id, list_id, name, created_at, updated_at)
SELECT workspace_id, list_id, list_id::text, named_at, named_at
  FROM unnest(:workspace_ids::uuid[], :list_ids::uuid[], :named_ats::timestamptz[])
       AS named (workspace_id, list_id, named_at)
    ON CONFLICT DO NOTHING;

-- name: lists(workspace_id)
-- Every list of a workspace.
SELECT list_id, kind, name, created_at FROM contact_list
 WHERE workspace_id = :workspace_id
 ORDER BY created_at, list_id;

-- name: custom_fields(workspace_id)
-- Every custom field of a workspace, also those that are not active.
SELECT custom_field_id, name, api_name, type, active FROM custom_field
 WHERE workspace_id = :workspace_id
 ORDER BY api_name;
