-- name: read(workspace_ids, contact_ids, membership_ids)
-- The live memberships of these contacts, and these memberships whatever their state.
SELECT membership.*
  FROM membership
  JOIN unnest(:workspace_ids::uuid[], :contact_ids::uuid[]) AS wanted (workspace_id, contact_id)
 USING (workspace_id, contact_id)
 WHERE membership.ended_at IS NULL
 UNION
SELECT *
  FROM membership
 WHERE membership_id = ANY (:membership_ids::uuid[]);

-- name: history(flow_ids, contact_ids)
-- How many runs each contact has had in the flow, live ones included.
SELECT wanted.flow_id, wanted.contact_id, count(*) AS runs
  FROM (SELECT DISTINCT *
          FROM unnest(:flow_ids::uuid[], :contact_ids::uuid[]) AS pair (flow_id, contact_id)
       ) AS wanted
  JOIN membership
    ON membership.flow_id = wanted.flow_id AND membership.contact_id = wanted.contact_id
 GROUP BY wanted.flow_id, wanted.contact_id;

-- name: page(partition, flow_id, after, everyone, at_most)
-- Some live members of a flow in one partition, in order of their ids: the parked ones, or everyone.
SELECT membership_id, workspace_id, contact_id
  FROM membership
 WHERE flow_id = :flow_id
   AND partition = :partition
   AND ended_at IS NULL
   AND membership_id > :after
   AND (waiting_on = 'reactivation' OR :everyone)
 ORDER BY membership_id
 LIMIT :at_most::int;

-- name: enter(rows)!
-- New memberships.
INSERT INTO membership
SELECT * FROM jsonb_populate_recordset(NULL::membership, :rows::jsonb);

-- name: move(rows, membership_ids, old_sequences, old_hops)
-- Memberships that moved, each only if it still is where we found it.
UPDATE membership AS mine
   SET updated_at = moved.updated_at,
       status = moved.status,
       waiting_on = moved.waiting_on,
       hop = moved.hop,
       step_id = moved.step_id,
       waiting_until = moved.waiting_until,
       parked = moved.parked,
       engagement = moved.engagement,
       ended_at = moved.ended_at,
       drop_reason = moved.drop_reason,
       sequence = moved.sequence
  FROM jsonb_populate_recordset(NULL::membership, :rows::jsonb) AS moved,
       unnest(:old_sequences::int[], :old_hops::int[], :membership_ids::uuid[])
       AS found (sequence, hop, membership_id)
 WHERE mine.membership_id = moved.membership_id
   AND mine.membership_id = found.membership_id
   AND mine.sequence = found.sequence
   AND mine.hop = found.hop
RETURNING mine.membership_id;

-- name: stuck(overdue)^
-- Live memberships that nothing will ever move: a timer long overdue, a delivery that is over.
SELECT count(*) FILTER (WHERE waiting_on = 'timer' AND waiting_until < :overdue) AS timers,
       count(*) FILTER (
           WHERE waiting_on = 'delivery'
             AND delivery.status IN ('sent', 'skipped', 'failed')
             AND delivery.updated_at < now() - interval '5 minutes') AS deliveries
  FROM membership
  LEFT JOIN delivery USING (membership_id, hop)
 WHERE membership.ended_at IS NULL;
