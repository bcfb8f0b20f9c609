-- name: add(flow_ids, entered, active, waiting, completed, failed, exited_flow, first_entry_ats, last_entry_ats)!
-- Changes of counts, one row per flow. The first entry is kept as precise as entries are.
INSERT INTO flow_count_change (flow_id, entered, active, waiting, completed, failed, exited_flow,
                               first_entry_at, last_entry_at)
SELECT flow_id, entered, active, waiting, completed, failed, exited_flow,
       date_trunc('milliseconds', first_entry_at), last_entry_at
  FROM unnest(:flow_ids::uuid[], :entered::bigint[], :active::bigint[], :waiting::bigint[],
              :completed::bigint[], :failed::bigint[], :exited_flow::bigint[],
              :first_entry_ats::timestamptz[], :last_entry_ats::timestamptz[])
       AS change (flow_id, entered, active, waiting, completed, failed, exited_flow,
                  first_entry_at, last_entry_at);

-- name: fold_alone()$
-- Take the lock of those who fold counts and set anchors; false if another process has it.
SELECT pg_try_advisory_xact_lock(hashtext('flow_count'));

-- name: fold()!
-- Fold the changes into the counts. Who entered before an anchor takes it away.
WITH folded AS (
    DELETE FROM flow_count_change RETURNING *
), change AS (
    SELECT flow_id, sum(entered) AS entered, sum(active) AS active, sum(waiting) AS waiting,
           sum(completed) AS completed, sum(failed) AS failed, sum(exited_flow) AS exited_flow,
           min(first_entry_at) AS first_entry_at, max(last_entry_at) AS last_entry_at
      FROM folded
     GROUP BY flow_id
), overtaken AS (
    DELETE FROM member_anchor USING change
     WHERE member_anchor.flow_id = change.flow_id
       AND member_anchor.entered_at >= change.first_entry_at
 RETURNING member_anchor.flow_id, place
), last_left AS (
    SELECT flow_id, min(place) - 1000 AS place FROM overtaken GROUP BY flow_id
)
INSERT INTO flow_count AS mine (flow_id, entered, active, waiting, completed, failed, exited_flow,
                                anchored, last_entry_at)
SELECT flow_id, change.entered, change.active, change.waiting, change.completed, change.failed,
       change.exited_flow, coalesce(last_left.place, before.anchored, 0), change.last_entry_at
  FROM change
  LEFT JOIN last_left USING (flow_id)
  LEFT JOIN flow_count AS before USING (flow_id)
    ON CONFLICT (flow_id) DO UPDATE
   SET anchored = EXCLUDED.anchored,
       entered = mine.entered + EXCLUDED.entered,
       active = mine.active + EXCLUDED.active,
       waiting = mine.waiting + EXCLUDED.waiting,
       completed = mine.completed + EXCLUDED.completed,
       failed = mine.failed + EXCLUDED.failed,
       exited_flow = mine.exited_flow + EXCLUDED.exited_flow,
       last_entry_at = greatest(mine.last_entry_at, EXCLUDED.last_entry_at);

-- name: read_whole_tables()$
-- What is asked for next reads a whole partition: better so than row by row, along an index.
SELECT set_config('enable_seqscan', 'on', true);

-- name: forget(before)!
-- Count as gone what was stored before a time, and take the anchors of these flows away.
WITH gone AS (
    SELECT flow_id,
           count(*) FILTER (WHERE run_status = 'completed') AS completed,
           count(*) FILTER (WHERE run_status = 'failed') AS failed,
           count(*) FILTER (WHERE run_status = 'exited_flow') AS exited_flow
      FROM ended_membership
     WHERE stored_at < :before
     GROUP BY flow_id
), unanchored AS (
    DELETE FROM member_anchor USING gone WHERE member_anchor.flow_id = gone.flow_id
)
INSERT INTO flow_count AS mine (flow_id, entered, active, waiting, completed, failed, exited_flow,
                                gone_completed, gone_failed, gone_exited_flow)
SELECT flow_id, 0, 0, 0, 0, 0, 0, completed, failed, exited_flow FROM gone
    ON CONFLICT (flow_id) DO UPDATE
   SET gone_completed = mine.gone_completed + EXCLUDED.gone_completed,
       gone_failed = mine.gone_failed + EXCLUDED.gone_failed,
       gone_exited_flow = mine.gone_exited_flow + EXCLUDED.gone_exited_flow,
       anchored = 0;

-- name: read(flow_ids)
-- The counts of these flows, changes included.
SELECT flow_id, sum(entered)::bigint AS entered, sum(active)::bigint AS active,
       sum(waiting)::bigint AS waiting, sum(completed)::bigint AS completed,
       sum(failed)::bigint AS failed, sum(exited_flow)::bigint AS exited_flow,
       max(last_entry_at) AS last_entry_at, sum(gone_completed)::bigint AS gone_completed,
       sum(gone_failed)::bigint AS gone_failed, sum(gone_exited_flow)::bigint AS gone_exited_flow
  FROM (SELECT flow_id, entered, active, waiting, completed, failed, exited_flow, last_entry_at,
               gone_completed, gone_failed, gone_exited_flow
          FROM flow_count WHERE flow_id = ANY (:flow_ids::uuid[])
         UNION ALL
        SELECT flow_id, entered, active, waiting, completed, failed, exited_flow, last_entry_at,
               0, 0, 0
          FROM flow_count_change WHERE flow_id = ANY (:flow_ids::uuid[])) AS both_kinds
 GROUP BY flow_id;
