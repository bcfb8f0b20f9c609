-- name: known(membership_ids)
-- What was known of these memberships.
SELECT membership_id, sequence, status
  FROM run
 WHERE membership_id = ANY (:membership_ids::uuid[]);

-- name: write(rows)!
-- Write memberships as they are now; what is older than what is there changes nothing.
INSERT INTO run AS mine (
       membership_id, workspace_id, flow_id, contact_id, sequence, status, run_status, run,
       entered_at, ended_at)
SELECT membership_id, workspace_id, flow_id, contact_id, sequence, status, run_status, run,
       entered_at, ended_at
  FROM jsonb_to_recordset(:rows::jsonb) AS moved (
       membership_id uuid, workspace_id uuid, flow_id uuid, contact_id uuid, sequence int,
       status text, run_status text, run jsonb, entered_at timestamptz, ended_at timestamptz)
    ON CONFLICT (membership_id) DO UPDATE
   SET sequence = EXCLUDED.sequence,
       status = EXCLUDED.status,
       run_status = EXCLUDED.run_status,
       run = EXCLUDED.run,
       ended_at = EXCLUDED.ended_at
 WHERE mine.sequence < EXCLUDED.sequence;

-- name: add_timeline(rows)!
-- Timeline entries; one that is there already stays.
INSERT INTO timeline (membership_id, sequence, kind, step_id, label, occurred_at, details)
SELECT membership_id, sequence, kind, step_id, label, occurred_at, details
  FROM jsonb_to_recordset(:rows::jsonb) AS told (
       membership_id uuid, sequence int, kind text, step_id text, label text,
       occurred_at timestamptz, details jsonb)
    ON CONFLICT DO NOTHING;

-- name: add_refusals(rows)!
-- Refusals; one that is there already stays.
INSERT INTO refusal (
       refusal_id, workspace_id, flow_id, contact_id, source_id, entry_source, reason, refused_at)
SELECT refusal_id, workspace_id, flow_id, contact_id, source_id, entry_source, reason, refused_at
  FROM jsonb_to_recordset(:rows::jsonb) AS refused (
       refusal_id uuid, workspace_id uuid, flow_id uuid, contact_id uuid, source_id text,
       entry_source text, reason text, refused_at timestamptz)
    ON CONFLICT DO NOTHING;

-- name: add_counts(rows)!
-- Changes of counts, one row per flow.
INSERT INTO flow_count_change
SELECT * FROM jsonb_populate_recordset(NULL::flow_count_change, :rows::jsonb);

-- name: fold_counts()!
-- Fold the changes into the counts.
WITH taken AS (
    DELETE FROM flow_count_change RETURNING *
)
INSERT INTO flow_count AS mine
SELECT flow_id, sum(entered), sum(active), sum(waiting), sum(completed), sum(dropped),
       max(last_entry_at)
  FROM taken
 GROUP BY flow_id
    ON CONFLICT (flow_id) DO UPDATE
   SET entered = mine.entered + EXCLUDED.entered,
       active = mine.active + EXCLUDED.active,
       waiting = mine.waiting + EXCLUDED.waiting,
       completed = mine.completed + EXCLUDED.completed,
       dropped = mine.dropped + EXCLUDED.dropped,
       last_entry_at = greatest(mine.last_entry_at, EXCLUDED.last_entry_at);

-- name: counts(flow_ids)
-- The counts of these flows, changes included.
SELECT flow_id, sum(entered)::bigint AS entered, sum(active)::bigint AS active,
       sum(waiting)::bigint AS waiting, sum(completed)::bigint AS completed,
       sum(dropped)::bigint AS dropped, max(last_entry_at) AS last_entry_at
  FROM (SELECT * FROM flow_count WHERE flow_id = ANY (:flow_ids::uuid[])
         UNION ALL
        SELECT * FROM flow_count_change WHERE flow_id = ANY (:flow_ids::uuid[])) AS both_kinds
 GROUP BY flow_id;

-- name: page(workspace_id, flow_id, status, run_status, entered_from, entered_to, exited_from, exited_to, at_most, skip)
-- Memberships of a flow, newest first, with their contact, each with how many there are in all.
SELECT run.membership_id, run.run, run.run_status, contact.fields, count(*) OVER () AS total
  FROM run
  LEFT JOIN contact USING (workspace_id, contact_id)
 WHERE run.workspace_id = :workspace_id
   AND run.flow_id = :flow_id
   AND (:status::text IS NULL OR run.status = :status)
   AND (:run_status::text IS NULL OR run.run_status = :run_status)
   AND (:entered_from::timestamptz IS NULL OR run.entered_at >= :entered_from)
   AND (:entered_to::timestamptz IS NULL OR run.entered_at <= :entered_to)
   AND (:exited_from::timestamptz IS NULL OR run.ended_at >= :exited_from)
   AND (:exited_to::timestamptz IS NULL OR run.ended_at <= :exited_to)
 ORDER BY run.entered_at DESC, run.membership_id
 LIMIT :at_most::int OFFSET :skip::int;

-- name: read(workspace_id, flow_id, membership_id)^
-- One membership, with its contact.
SELECT run.membership_id, run.run, run.run_status, contact.fields
  FROM run
  LEFT JOIN contact USING (workspace_id, contact_id)
 WHERE run.workspace_id = :workspace_id
   AND run.flow_id = :flow_id
   AND run.membership_id = :membership_id;

-- name: timelines(membership_ids)
-- The timelines of these memberships, in order.
SELECT membership_id, sequence, kind, step_id, label, occurred_at, details
  FROM timeline
 WHERE membership_id = ANY (:membership_ids::uuid[])
 ORDER BY membership_id, sequence;

-- name: refusals(workspace_id, flow_id, contact_id, at_most, skip)
-- Refusals of a workspace, newest first, each with how many there are in all.
SELECT refusal.*, count(*) OVER () AS total
  FROM refusal
 WHERE workspace_id = :workspace_id
   AND (:flow_id::uuid IS NULL OR flow_id = :flow_id)
   AND (:contact_id::uuid IS NULL OR contact_id = :contact_id)
 ORDER BY refused_at DESC, refusal_id
 LIMIT :at_most::int OFFSET :skip::int;
