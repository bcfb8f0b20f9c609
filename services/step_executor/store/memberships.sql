-- name: read(workspace_ids, contact_ids, everything, flow_ids, membership_ids, keys, keying)
-- The live memberships that are needed of these contacts: all of them, those in some flows, those
-- that are named, and those that listen to some keys, or to keys of another version. Sets come as one
-- text per contact, because arrays of arrays of different lengths cannot be passed.
WITH wanted AS MATERIALIZED (
    SELECT workspace_id, contact_id, everything, flow_ids::uuid[] AS flow_ids,
           membership_ids::uuid[] AS membership_ids, keys::bigint[] AS keys
      FROM unnest(
           :workspace_ids::uuid[], :contact_ids::uuid[], :everything::boolean[],
           :flow_ids::text[], :membership_ids::text[], :keys::text[])
           AS given (workspace_id, contact_id, everything, flow_ids, membership_ids, keys)
)
SELECT membership.*
  FROM wanted
  JOIN membership
    ON membership.contact_id = wanted.contact_id AND membership.workspace_id = wanted.workspace_id
 WHERE wanted.everything
    OR membership.flow_id = ANY (wanted.flow_ids)
    OR membership.membership_id = ANY (wanted.membership_ids)
    OR membership.listens && wanted.keys
    OR (membership.keying <> :keying::int AND wanted.keys IS NOT NULL);

-- name: page(partition, flow_id, after, waiting_on, step_ids, seconds, at_most)
-- Some live members of a flow in one partition, in order of their ids: everyone where null is given,
-- or those who wait on one of these. Of them, who waits for a time is left out if it is the time that
-- the step holds from when he came there: what the row itself says decides.
SELECT membership_id, workspace_id, contact_id
  FROM membership
 WHERE flow_id = :flow_id
   AND partition = :partition
   AND membership_id > :after
   AND (:waiting_on::text[] IS NULL
        OR (waiting_on = ANY (:waiting_on)
            AND (waiting_on <> 'timer'
                 OR (waiting_until = stood_at + make_interval(
                     secs => (:seconds::float8[])[array_position(:step_ids::text[], step_id)])
                 ) IS NOT TRUE)))
 ORDER BY membership_id
 LIMIT :at_most::int;

-- name: end_of_page(after, at_most)$
-- The last of so many live memberships in order of their ids; null where there are fewer.
SELECT membership_id
  FROM membership
 WHERE membership_id > :after
 ORDER BY membership_id
OFFSET :at_most::int - 1
 LIMIT 1;

-- name: waits(after, last)
-- The memberships of a page that wait for an event, each with what is known of its contact at that
-- very moment; not those whose flow has changed a short time ago, or is paused: they are still to be
-- brought in line with it.
SELECT membership.*, contact.fields, contact.custom_fields, contact.lists,
       flow.version AS flow_version
  FROM membership
  JOIN contact
    ON contact.partition = membership.partition
   AND contact.workspace_id = membership.workspace_id
   AND contact.contact_id = membership.contact_id
  JOIN flow_definition AS flow ON flow.flow_id = membership.flow_id
 WHERE membership.membership_id > :after
   AND membership.membership_id <= :last
   AND membership.waiting_on = 'event'
   AND flow.status = 'active'
   AND flow.changed_at < now() - interval '30 minutes';

-- name: enter(ids, partitions, workspaces, flows, contacts, entry_sources, entered_ats, updated_ats, statuses, waiting_ons, hops, step_ids, stood_ats, waiting_untils, times_out_ats, listens, keyings, parked, dynamic_contexts, engagements, sequences, depths)!
-- New memberships.
INSERT INTO membership (
       membership_id, partition, workspace_id, flow_id, contact_id, entry_source, entered_at,
       updated_at, status, waiting_on, hop, step_id, stood_at, waiting_until, times_out_at, listens,
       keying, parked, dynamic_context, engagement, sequence, depth)
SELECT membership_id, partition, workspace_id, flow_id, contact_id, entry_source, entered_at,
       updated_at, status, waiting_on, hop, step_id, stood_at, waiting_until, times_out_at,
       listens::bigint[], keying, parked, dynamic_context, engagement, sequence, depth
  FROM unnest(
       :ids::uuid[], :partitions::int[], :workspaces::uuid[], :flows::uuid[], :contacts::uuid[],
       :entry_sources::text[], :entered_ats::timestamptz[], :updated_ats::timestamptz[],
       :statuses::text[], :waiting_ons::text[], :hops::int[], :step_ids::text[],
       :stood_ats::timestamptz[], :waiting_untils::timestamptz[],
       :times_out_ats::timestamptz[], :listens::text[], :keyings::int[], :parked::jsonb[],
       :dynamic_contexts::jsonb[], :engagements::jsonb[], :sequences::int[], :depths::int[])
       AS entered (membership_id, partition, workspace_id, flow_id, contact_id, entry_source,
                   entered_at, updated_at, status, waiting_on, hop, step_id, stood_at,
                   waiting_until, times_out_at, listens, keying, parked, dynamic_context,
                   engagement, sequence, depth);

-- name: move(ids, old_sequences, old_hops, updated_ats, statuses, waiting_ons, hops, step_ids, stood_ats, waiting_untils, times_out_ats, listens, keyings, parked, engagements, sequences)
-- Memberships that moved and live, each only if it still is where it was found.
UPDATE membership AS mine
   SET updated_at = moved.updated_at,
       status = moved.status,
       waiting_on = moved.waiting_on,
       hop = moved.hop,
       step_id = moved.step_id,
       stood_at = moved.stood_at,
       waiting_until = moved.waiting_until,
       times_out_at = moved.times_out_at,
       listens = moved.listens::bigint[],
       keying = moved.keying,
       parked = moved.parked,
       engagement = moved.engagement,
       sequence = moved.sequence
  FROM unnest(
       :ids::uuid[], :old_sequences::int[], :old_hops::int[], :updated_ats::timestamptz[],
       :statuses::text[], :waiting_ons::text[], :hops::int[], :step_ids::text[],
       :stood_ats::timestamptz[], :waiting_untils::timestamptz[],
       :times_out_ats::timestamptz[], :listens::text[], :keyings::int[], :parked::jsonb[], :engagements::jsonb[], :sequences::int[])
       AS moved (membership_id, old_sequence, old_hop, updated_at, status, waiting_on, hop, step_id,
                 stood_at, waiting_until, times_out_at, listens, keying, parked, engagement,
                 sequence)
 WHERE mine.membership_id = moved.membership_id
   AND mine.sequence = moved.old_sequence
   AND mine.hop = moved.old_hop
RETURNING mine.membership_id;

-- name: put_contexts(ids, dynamic_contexts)!
-- The values of runs to which something was added. Few walks do, so moving on stays narrow.
UPDATE membership AS mine
   SET dynamic_context = changed.dynamic_context
  FROM unnest(:ids::uuid[], :dynamic_contexts::jsonb[]) AS changed (membership_id, dynamic_context)
 WHERE mine.membership_id = changed.membership_id;

-- name: remove(ids, old_sequences, old_hops)
-- Memberships that have ended, each only if it still is where it was found.
DELETE FROM membership AS mine
 USING unnest(:ids::uuid[], :old_sequences::int[], :old_hops::int[])
       AS ended (membership_id, old_sequence, old_hop)
 WHERE mine.membership_id = ended.membership_id
   AND mine.sequence = ended.old_sequence
   AND mine.hop = ended.old_hop
RETURNING mine.membership_id;

-- name: audit(after, overdue, at_most)^
-- Look at some live memberships in order of their ids: how many are there, the last one, and how
-- many of them nothing will ever move: a timer long overdue; a delivery that does not exist, whose
-- result nobody takes, or that a sender has held for far too long; and what waits for its flow to
-- become active although it has been so for long. Deliveries are looked up one by
-- one, so that a look costs the same however many there are.
SELECT count(*) AS looked_at,
       (array_agg(looked.membership_id ORDER BY looked.membership_id DESC))[1] AS last,
       count(*) FILTER (
           WHERE looked.waiting_on IN ('timer', 'event', 'answer')
             AND looked.waiting_until < :overdue
       ) AS timers,
       count(*) FILTER (
           WHERE looked.waiting_on = 'delivery'
             AND (delivery.status IS NULL
                  OR (delivery.status = 'settled' AND delivery.claimed_at < now() - interval '5 minutes')
                  OR (delivery.status = 'claimed' AND delivery.claimed_at < now() - interval '30 minutes'))
       ) AS deliveries,
       count(*) FILTER (
           WHERE (looked.waiting_on = 'reactivation' OR delivery.status = 'held')
             AND flow.status = 'active'
             AND flow.changed_at < now() - interval '30 minutes'
       ) AS left_behind
  FROM (SELECT membership_id, flow_id, hop, waiting_on, waiting_until
          FROM membership
         WHERE membership_id > :after
         ORDER BY membership_id
         LIMIT :at_most::int) AS looked
  LEFT JOIN LATERAL (
       SELECT status, claimed_at
         FROM delivery
        WHERE looked.waiting_on = 'delivery'
          AND delivery.membership_id = looked.membership_id
          AND delivery.hop = looked.hop
        LIMIT 1) AS delivery ON true
  LEFT JOIN flow_definition AS flow ON flow.flow_id = looked.flow_id;
