-- name: use_indexes()$
-- A plan made while there were few dates would read all of them when there are many.
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true);

-- name: field_ids(workspaces, fields)
-- The numbers of these fields; one that has none is left out.
SELECT workspace_id, field, field_id
  FROM unnest(:workspaces::uuid[], :fields::text[]) AS wanted (workspace_id, field)
  JOIN date_field USING (workspace_id, field);

-- name: number_fields(workspaces, fields)!
-- Give these fields a number, unless they have one; others may be doing the same.
INSERT INTO date_field (workspace_id, field)
SELECT workspace_id, field
  FROM unnest(:workspaces::uuid[], :fields::text[]) AS new (workspace_id, field)
 ORDER BY workspace_id, field
    ON CONFLICT DO NOTHING;

-- name: forget(partitions, field_ids, keys, contacts)!
-- Forget dates.
DELETE FROM contact_date AS mine
 USING unnest(:partitions::int[], :field_ids::int[], :keys::smallint[], :contacts::uuid[])
       AS gone (partition, field_id, key, contact_id)
 WHERE mine.partition = gone.partition
   AND mine.field_id = gone.field_id
   AND mine.key = gone.key
   AND mine.contact_id = gone.contact_id;

-- name: remember(partitions, field_ids, keys, contacts, values, bares, set_ats)!
-- Keep dates.
INSERT INTO contact_date AS mine (partition, field_id, key, contact_id, value, bare, set_at)
SELECT *
  FROM unnest(:partitions::int[], :field_ids::int[], :keys::smallint[], :contacts::uuid[],
              :values::timestamptz[], :bares::boolean[], :set_ats::timestamptz[])
    ON CONFLICT (partition, field_id, key, contact_id) DO UPDATE
   SET value = EXCLUDED.value, bare = EXCLUDED.bare, set_at = EXCLUDED.set_at;

-- name: page(places, partitions, field_ids, keys, afters, at_most)
-- The next dates in some ranges, at most so many of each, in the order of their keys. A range is a
-- field's dates under one key, behind a contact.
SELECT wanted.place, held.key, held.contact_id, held.value, held.bare, held.set_at
  FROM unnest(:places::int[], :partitions::int[], :field_ids::int[], :keys::smallint[],
              :afters::uuid[])
       AS wanted (place, partition, field_id, key, after_contact),
       LATERAL (
           SELECT *
             FROM contact_date AS mine
            WHERE mine.partition = wanted.partition
              AND mine.field_id = wanted.field_id
              AND mine.key = wanted.key
              AND mine.contact_id > wanted.after_contact
            ORDER BY mine.contact_id
            LIMIT :at_most::int
       ) AS held
 ORDER BY wanted.place, held.key, held.contact_id;
