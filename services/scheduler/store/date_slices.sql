-- name: open(partitions, flow_ids, trigger_ids, due_ats, days, workspaces, versions, fields, settings, keys)!
-- Begin to release slices. One with no date under its keys is over at once, and is left out. One
-- that is being released as an older definition had it begins anew. Keys come as one text per slice,
-- because arrays of arrays of different lengths cannot be passed.
INSERT INTO date_slice AS mine (
       partition, flow_id, trigger_id, due_at, day, workspace_id, flow_version, field_id, settings)
SELECT new.partition, new.flow_id, new.trigger_id, new.due_at, new.day, new.workspace_id,
       new.flow_version, date_field.field_id, new.settings
  FROM unnest(:partitions::int[], :flow_ids::uuid[], :trigger_ids::text[], :due_ats::timestamptz[],
              :days::date[], :workspaces::uuid[], :versions::int[], :fields::text[],
              :settings::jsonb[], :keys::text[])
       AS new (partition, flow_id, trigger_id, due_at, day, workspace_id, flow_version, field,
               settings, keys)
  JOIN date_field USING (workspace_id, field)
 WHERE EXISTS (
       SELECT FROM contact_date AS held
        WHERE held.partition = new.partition
          AND held.field_id = date_field.field_id
          AND held.key = ANY (new.keys::smallint[]))
    ON CONFLICT (partition, flow_id, trigger_id, due_at) DO UPDATE
   SET day = EXCLUDED.day,
       flow_version = EXCLUDED.flow_version,
       field_id = EXCLUDED.field_id,
       settings = EXCLUDED.settings,
       after_key = EXCLUDED.after_key,
       after_contact = EXCLUDED.after_contact;

-- name: next(partitions, at_most)
-- The slices of these partitions that have waited longest for their turn.
SELECT mine.partition, mine.flow_id, mine.trigger_id, mine.due_at, mine.day, mine.workspace_id,
       mine.flow_version, mine.field_id, mine.settings, mine.after_key, mine.after_contact
  FROM unnest(:partitions::int[]) AS wanted (partition),
       LATERAL (
           SELECT *
             FROM date_slice
            WHERE date_slice.partition = wanted.partition
            ORDER BY date_slice.turn
            LIMIT :at_most::int
       ) AS mine
 ORDER BY mine.turn
 LIMIT :at_most::int;

-- name: find(partitions, flow_ids, trigger_ids, due_ats)
-- How far these slices are; one that is not being released is left out.
SELECT partition, flow_id, trigger_id, due_at, after_key, after_contact
  FROM unnest(:partitions::int[], :flow_ids::uuid[], :trigger_ids::text[], :due_ats::timestamptz[])
       AS wanted (partition, flow_id, trigger_id, due_at)
  JOIN date_slice USING (partition, flow_id, trigger_id, due_at);

-- name: move(partitions, flow_ids, trigger_ids, due_ats, after_keys, after_contacts)!
-- Note how far these slices are; it is the turn of others then.
UPDATE date_slice AS mine
   SET after_key = moved.after_key,
       after_contact = moved.after_contact,
       turn = nextval('date_slice_turn')
  FROM unnest(:partitions::int[], :flow_ids::uuid[], :trigger_ids::text[],
              :due_ats::timestamptz[], :after_keys::smallint[], :after_contacts::uuid[])
       AS moved (partition, flow_id, trigger_id, due_at, after_key, after_contact)
 WHERE mine.partition = moved.partition
   AND mine.flow_id = moved.flow_id
   AND mine.trigger_id = moved.trigger_id
   AND mine.due_at = moved.due_at;

-- name: close(partitions, flow_ids, trigger_ids, due_ats)!
-- These slices are over.
DELETE FROM date_slice AS mine
 USING unnest(:partitions::int[], :flow_ids::uuid[], :trigger_ids::text[],
              :due_ats::timestamptz[])
       AS gone (partition, flow_id, trigger_id, due_at)
 WHERE mine.partition = gone.partition
   AND mine.flow_id = gone.flow_id
   AND mine.trigger_id = gone.trigger_id
   AND mine.due_at = gone.due_at;

-- name: unfinished(partitions)
-- Which of these partitions have slices that are being released.
SELECT wanted.partition
  FROM unnest(:partitions::int[]) AS wanted (partition)
 WHERE EXISTS (SELECT FROM date_slice WHERE date_slice.partition = wanted.partition);
