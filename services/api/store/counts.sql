-- name: add(rows)!
-- Changes of counts, one row per flow.
INSERT INTO flow_count_change
SELECT * FROM jsonb_populate_recordset(NULL::flow_count_change, :rows::jsonb);

-- name: fold()!
-- Fold the changes into the counts.
WITH folded AS (
    DELETE FROM flow_count_change RETURNING *
)
INSERT INTO flow_count AS mine
SELECT flow_id, sum(entered), sum(active), sum(waiting), sum(completed), sum(dropped),
       max(last_entry_at)
  FROM folded
 GROUP BY flow_id
    ON CONFLICT (flow_id) DO UPDATE
   SET entered = mine.entered + EXCLUDED.entered,
       active = mine.active + EXCLUDED.active,
       waiting = mine.waiting + EXCLUDED.waiting,
       completed = mine.completed + EXCLUDED.completed,
       dropped = mine.dropped + EXCLUDED.dropped,
       last_entry_at = greatest(mine.last_entry_at, EXCLUDED.last_entry_at);

-- name: read(flow_ids)
-- The counts of these flows, changes included.
SELECT flow_id, sum(entered)::bigint AS entered, sum(active)::bigint AS active,
       sum(waiting)::bigint AS waiting, sum(completed)::bigint AS completed,
       sum(dropped)::bigint AS dropped, max(last_entry_at) AS last_entry_at
  FROM (SELECT * FROM flow_count WHERE flow_id = ANY (:flow_ids::uuid[])
         UNION ALL
        SELECT * FROM flow_count_change WHERE flow_id = ANY (:flow_ids::uuid[])) AS both_kinds
 GROUP BY flow_id;
