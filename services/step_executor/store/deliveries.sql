-- name: plan(ids, hops, partitions, workspaces, contacts, flows, steps, channels, targets, emails, operationals, dynamic_contexts, asked)!
-- New deliveries, to be claimed by a sender. One that is known already stays as it is.
INSERT INTO delivery (
       membership_id, hop, partition, workspace_id, contact_id, flow_id, step_id, channel, target,
       email_id, operational, dynamic_context, asked)
SELECT *
  FROM unnest(
       :ids::uuid[], :hops::int[], :partitions::int[], :workspaces::uuid[], :contacts::uuid[],
       :flows::uuid[], :steps::text[], :channels::text[], :targets::text[], :emails::uuid[],
       :operationals::boolean[], :dynamic_contexts::jsonb[], :asked::jsonb[])
    ON CONFLICT DO NOTHING;

-- name: withdraw(ids, hops)!
-- Deliveries of memberships that have ended, which nobody has claimed: they are never made, and
-- what was rendered of them is gone. Here and below hops are named too, though memberships alone
-- would do: a queue's statistics are seldom true, and by both columns its index is always used.
-- Rows are locked in the order of their keys: two that want the same ones never wait for each other.
WITH locked AS (
    SELECT delivery.membership_id, delivery.hop
      FROM unnest(:ids::uuid[], :hops::int[]) AS ended (membership_id, hop)
      JOIN delivery USING (membership_id, hop)
     WHERE delivery.status IN ('pending', 'later', 'held')
     ORDER BY delivery.membership_id, delivery.hop
       FOR UPDATE OF delivery
)
DELETE FROM delivery
 USING locked
 WHERE delivery.membership_id = locked.membership_id
   AND delivery.hop = locked.hop;

-- name: hold(ids, hops)!
-- The flow of these memberships is paused: what nobody has claimed waits for its reactivation.
WITH locked AS (
    SELECT delivery.membership_id, delivery.hop
      FROM unnest(:ids::uuid[], :hops::int[]) AS paused (membership_id, hop)
      JOIN delivery USING (membership_id, hop)
     WHERE delivery.status IN ('pending', 'later')
     ORDER BY delivery.membership_id, delivery.hop
       FOR UPDATE OF delivery
)
UPDATE delivery SET status = 'held'
  FROM locked
 WHERE delivery.membership_id = locked.membership_id
   AND delivery.hop = locked.hop;

-- name: release(ids, hops)!
-- The flow of these memberships is active again: what was held may be claimed. What waits for its
-- next attempt goes on waiting; it comes due by itself.
UPDATE delivery SET status = 'pending', next_attempt_at = now()
  FROM unnest(:ids::uuid[], :hops::int[]) AS active (membership_id, hop)
 WHERE delivery.membership_id = active.membership_id
   AND delivery.hop = active.hop
   AND delivery.status = 'held';

-- name: read_in_order()$
-- What follows in this transaction reads indexes in their order and stops when it has enough. Else,
-- where statistics are older than the queue is long, all of a queue is collected and sorted for the
-- sake of its first rows, and dead entries are passed by again and again instead of being marked.
SELECT set_config('enable_bitmapscan', 'off', true) || set_config('enable_sort', 'off', true);

-- name: make_due(at_most)$
-- Let some of what was to be tried again later be claimed, if its time has come; say how many.
WITH due AS (
    SELECT membership_id, hop
      FROM delivery
     WHERE status = 'later' AND next_attempt_at <= now()
     ORDER BY next_attempt_at
     LIMIT :at_most::int
       FOR UPDATE SKIP LOCKED
), made AS (
    UPDATE delivery SET status = 'pending'
      FROM due
     WHERE delivery.membership_id = due.membership_id AND delivery.hop = due.hop
    RETURNING 1
)
SELECT count(*) FROM made;

-- name: waiting_workspaces(channel, after, at_most)
-- Some workspaces with deliveries of a channel that may be claimed, in order of their ids, from one
-- place in the index to the next: the cost is the number of workspaces given, not of deliveries.
WITH RECURSIVE waiting AS (
    (SELECT workspace_id, 1 AS number
       FROM delivery
      WHERE status = 'pending' AND channel = :channel AND workspace_id > :after
      ORDER BY workspace_id
      LIMIT 1)
    UNION ALL
    SELECT following.workspace_id, waiting.number + 1
      FROM waiting,
           LATERAL (SELECT delivery.workspace_id
                      FROM delivery
                     WHERE delivery.status = 'pending'
                       AND delivery.channel = :channel
                       AND delivery.workspace_id > waiting.workspace_id
                     ORDER BY delivery.workspace_id
                     LIMIT 1) AS following
     WHERE waiting.number < :at_most::int
)
SELECT workspace_id FROM waiting;

-- name: waiting_targets(workspaces, afters, at_most)
-- Some targets of each of these workspaces with webhooks that may be claimed, in their order, after
-- one of them: again the cost is the number of targets given.
WITH RECURSIVE waiting AS (
    SELECT asked.workspace_id, following.target, 1 AS number
      FROM unnest(:workspaces::uuid[], :afters::text[]) AS asked (workspace_id, after),
           LATERAL (SELECT delivery.target
                      FROM delivery
                     WHERE delivery.status = 'pending'
                       AND delivery.channel = 'webhook'
                       AND delivery.workspace_id = asked.workspace_id
                       AND delivery.target > asked.after
                     ORDER BY delivery.target
                     LIMIT 1) AS following
    UNION ALL
    SELECT waiting.workspace_id, following.target, waiting.number + 1
      FROM waiting,
           LATERAL (SELECT delivery.target
                      FROM delivery
                     WHERE delivery.status = 'pending'
                       AND delivery.channel = 'webhook'
                       AND delivery.workspace_id = waiting.workspace_id
                       AND delivery.target > waiting.target
                     ORDER BY delivery.target
                     LIMIT 1) AS following
     WHERE waiting.number < :at_most::int
)
SELECT workspace_id, target FROM waiting;

-- name: give_up(workspaces, targets, seconds, at_most)$
-- Webhooks to targets that are down, which could have been made for so long: they fail, some at a
-- time, so that nobody stands before a dead host for ever. Say how many.
WITH overdue AS (
    SELECT due.membership_id, due.hop
      FROM unnest(:workspaces::uuid[], :targets::text[]) AS down (workspace_id, target),
           LATERAL (SELECT delivery.membership_id, delivery.hop
                      FROM delivery
                     WHERE delivery.status = 'pending'
                       AND delivery.channel = 'webhook'
                       AND delivery.workspace_id = down.workspace_id
                       AND delivery.target = down.target
                       AND delivery.next_attempt_at < now() - make_interval(secs => :seconds::float8)
                     ORDER BY delivery.next_attempt_at
                     LIMIT :at_most::int
                       FOR UPDATE SKIP LOCKED) AS due
), failed AS (
    UPDATE delivery
       SET status = 'settled', outcome = 'failed', reason = 'unreachable', message = NULL,
           claimed_at = now(), next_attempt_at = now()
      FROM overdue
     WHERE delivery.membership_id = overdue.membership_id AND delivery.hop = overdue.hop
    RETURNING 1
)
SELECT count(*) FROM failed;

-- name: claim(lease, channel, workspaces, targets, share)
-- Claim deliveries of a channel, at most so many of each of these workspaces and targets, under a
-- lease that nobody has taken away. The lock lets heartbeats pass; whoever takes the lease away
-- waits for it.
WITH mine AS (
    SELECT lease FROM sender WHERE lease = :lease FOR KEY SHARE
), picked AS (
    SELECT due.membership_id, due.hop, mine.lease
      FROM mine,
           unnest(:workspaces::uuid[], :targets::text[]) AS waiting (workspace_id, target),
           LATERAL (SELECT delivery.membership_id, delivery.hop
                      FROM delivery
                     WHERE delivery.status = 'pending'
                       AND delivery.channel = :channel
                       AND delivery.workspace_id = waiting.workspace_id
                       AND delivery.target = waiting.target
                     ORDER BY delivery.next_attempt_at
                     LIMIT :share::int
                       FOR UPDATE SKIP LOCKED) AS due
)
UPDATE delivery
   SET status = 'claimed', claim = picked.lease, claimed_at = now(), attempt = delivery.attempt + 1
  FROM picked
 WHERE delivery.membership_id = picked.membership_id AND delivery.hop = picked.hop
RETURNING delivery.*;

-- name: circumstances(ids, hops)
-- What must be known of claimed deliveries to judge them: does the membership still stand there, is
-- its contact known, in which state is its flow, how far is its partition behind; and what a webhook
-- tells of how the run began.
SELECT delivery.membership_id, delivery.hop,
       membership.membership_id IS NOT NULL AS wanted,
       contact.contact_id, contact.fields, contact.custom_fields, contact.times, delivery.asked,
       contact.contact_id IS NOT NULL AND contact.deleted_at IS NULL AS contact_known,
       flow_definition.status AS flow_status, flow_definition.version AS flow_version,
       email_definition.version AS email_version,
       CASE WHEN lag.measured_at > now() - interval '30 seconds' THEN lag.seconds END AS lag_seconds,
       extract(epoch FROM now() - delivery.planned_at)::float8 AS waited_seconds,
       membership_entry.entry
  FROM unnest(:ids::uuid[], :hops::int[]) AS mine (membership_id, hop)
  JOIN delivery USING (membership_id, hop)
  LEFT JOIN membership
    ON membership.membership_id = mine.membership_id
   AND membership.hop = mine.hop
   AND membership.waiting_on = 'delivery'
  LEFT JOIN contact
    ON contact.partition = delivery.partition
   AND contact.workspace_id = delivery.workspace_id
   AND contact.contact_id = delivery.contact_id
  LEFT JOIN flow_definition ON flow_definition.flow_id = delivery.flow_id
  LEFT JOIN email_definition ON email_definition.email_id = delivery.email_id
  LEFT JOIN partition_lag AS lag ON lag.partition = delivery.partition
  LEFT JOIN membership_entry
    ON membership_entry.membership_id = delivery.membership_id AND delivery.channel = 'webhook';

-- name: still_mine(lease, ids, hops)
-- Which of these deliveries are still claimed under this lease, for a membership that still stands
-- there and a contact that still is. Only a claimed delivery names a lease. Were it asked for by its
-- status too, the index of claims would be used, which holds all that this lease ever had until a
-- vacuum comes by.
SELECT delivery.membership_id, delivery.hop
  FROM unnest(:ids::uuid[], :hops::int[]) AS mine (membership_id, hop)
  JOIN delivery USING (membership_id, hop)
  JOIN membership
    ON membership.membership_id = mine.membership_id
   AND membership.hop = mine.hop
   AND membership.waiting_on = 'delivery'
  JOIN contact
    ON contact.partition = delivery.partition
   AND contact.workspace_id = delivery.workspace_id
   AND contact.contact_id = delivery.contact_id
   AND contact.deleted_at IS NULL
 WHERE delivery.claim = :lease;

-- name: give_back(lease, ids, hops, waits, unattempted, ambiguous, senders, recipients, messages)!
-- Claimed deliveries that are to be tried (again), at once or after some seconds. One that was not
-- attempted does not count as an attempt. What may have arrived is handed over again as it was.
-- If the membership has moved on meanwhile, nothing is kept of it but this.
WITH locked AS (
    SELECT delivery.membership_id, delivery.hop
      FROM unnest(:ids::uuid[], :hops::int[]) AS given (membership_id, hop)
      JOIN delivery USING (membership_id, hop)
     WHERE delivery.claim = :lease
     ORDER BY delivery.membership_id, delivery.hop
       FOR UPDATE OF delivery
)
UPDATE delivery
   SET status = CASE WHEN NOT back.wanted THEN 'settled'
                     WHEN back.wait > 0 THEN 'later' ELSE 'pending' END,
       outcome = CASE WHEN NOT back.wanted THEN 'skipped' END,
       reason = CASE WHEN NOT back.wanted THEN 'membership_moved_on' END,
       claim = NULL,
       claimed_at = now(),
       next_attempt_at = now() + make_interval(secs => CASE WHEN back.wanted THEN back.wait ELSE 0 END),
       attempt = delivery.attempt - back.unattempted,
       ambiguous = delivery.ambiguous + back.ambiguous,
       sender = CASE WHEN back.wanted THEN coalesce(back.sender, delivery.sender) END,
       recipient = CASE WHEN back.wanted THEN coalesce(back.recipient, delivery.recipient) END,
       message = CASE WHEN back.wanted THEN coalesce(back.message, delivery.message) END
  FROM (SELECT given.*,
               EXISTS (SELECT FROM membership
                        WHERE membership.membership_id = given.membership_id
                          AND membership.hop = given.hop
                          AND membership.waiting_on = 'delivery') AS wanted
          FROM unnest(:ids::uuid[], :hops::int[], :waits::float8[], :unattempted::int[],
                      :ambiguous::int[], :senders::text[], :recipients::text[], :messages::bytea[])
               AS given (membership_id, hop, wait, unattempted, ambiguous, sender, recipient, message)
          JOIN locked USING (membership_id, hop)
       ) AS back
 WHERE delivery.membership_id = back.membership_id
   AND delivery.hop = back.hop;

-- name: give_back_others(lease, ids, hops)$
-- What is claimed under this lease but for these: claims whose answer never arrived. They were not
-- begun, so they may be claimed again; say how many.
WITH lost AS (
    UPDATE delivery
       SET status = 'pending', claim = NULL, attempt = attempt - 1
     WHERE status = 'claimed'
       AND claim = :lease
       AND NOT EXISTS (SELECT FROM unnest(:ids::uuid[], :hops::int[]) AS known (membership_id, hop)
                        WHERE known.membership_id = delivery.membership_id
                          AND known.hop = delivery.hop)
    RETURNING 1
)
SELECT count(*) FROM lost;

-- name: settle(lease, ids, hops, outcomes, reasons)!
-- Results, for the owner of the partition to take. Only the holder of the claim may give one; but
-- that a mail was sent counts whoever holds the claim by now, also if it was given up.
WITH ended AS (
    SELECT delivery.membership_id, delivery.hop, ended.outcome, ended.reason
      FROM unnest(:ids::uuid[], :hops::int[], :outcomes::text[], :reasons::text[])
           AS ended (membership_id, hop, outcome, reason)
      JOIN delivery USING (membership_id, hop)
     WHERE (delivery.status = 'claimed' AND delivery.claim = :lease)
        OR (ended.outcome = 'sent' AND delivery.outcome IS DISTINCT FROM 'sent')
     ORDER BY delivery.membership_id, delivery.hop
       FOR UPDATE OF delivery
)
UPDATE delivery
   SET status = 'settled', claim = NULL, claimed_at = now(), next_attempt_at = now(),
       sender = NULL, recipient = NULL, message = NULL,
       outcome = ended.outcome, reason = ended.reason
  FROM ended
 WHERE delivery.membership_id = ended.membership_id
   AND delivery.hop = ended.hop;

-- name: mine(lease, ids, hops, outcomes, reasons)
-- Results of this very process, which owns the partition: those that count, by the same conditions
-- as in `settle`. The rows stay locked until they are archived or put aside.
SELECT delivery.membership_id, delivery.hop, delivery.workspace_id, delivery.contact_id,
       delivery.flow_id, delivery.partition, delivery.channel, ended.outcome, ended.reason
  FROM unnest(:ids::uuid[], :hops::int[], :outcomes::text[], :reasons::text[])
       AS ended (membership_id, hop, outcome, reason)
  JOIN delivery USING (membership_id, hop)
 WHERE (delivery.status = 'claimed' AND delivery.claim = :lease)
    OR (ended.outcome = 'sent' AND delivery.outcome IS DISTINCT FROM 'sent')
 ORDER BY delivery.membership_id, delivery.hop
   FOR UPDATE OF delivery;

-- name: is_any_settled(partitions)$
-- Whether senders have left results for the owner of these partitions.
SELECT EXISTS (
    SELECT FROM delivery
     WHERE status = 'settled' AND partition = ANY (:partitions::int[]) AND next_attempt_at <= now());

-- name: settled(partitions, at_most)
-- Some results that senders left for the owner of these partitions.
SELECT membership_id, hop, workspace_id, contact_id, flow_id, partition, channel, outcome, reason
  FROM delivery
 WHERE status = 'settled' AND partition = ANY (:partitions::int[]) AND next_attempt_at <= now()
 ORDER BY partition, next_attempt_at
 LIMIT :at_most::int
   FOR UPDATE;

-- name: archive(ids, hops, outcomes, reasons)!
-- Deliveries whose result was taken leave the queue.
WITH done AS (
    DELETE FROM delivery
     USING unnest(:ids::uuid[], :hops::int[], :outcomes::text[], :reasons::text[])
           AS ended (membership_id, hop, outcome, reason)
     WHERE delivery.membership_id = ended.membership_id AND delivery.hop = ended.hop
    RETURNING delivery.membership_id, delivery.hop, delivery.workspace_id, delivery.contact_id,
              delivery.flow_id, delivery.step_id, delivery.channel, delivery.email_id,
              delivery.attempt, delivery.takeovers, delivery.ambiguous,
              delivery.planned_at, ended.outcome, ended.reason
)
INSERT INTO ended_delivery (
       membership_id, hop, workspace_id, contact_id, flow_id, step_id, channel, email_id, outcome,
       reason, attempt, takeovers, ambiguous, planned_at)
SELECT membership_id, hop, workspace_id, contact_id, flow_id, step_id, channel, email_id, outcome,
       reason, attempt, takeovers, ambiguous, planned_at
  FROM done;

-- name: put_aside(ids, hops, outcomes, reasons, seconds)!
-- Results that their membership could not be walked on by: they stay, and are taken again later.
UPDATE delivery
   SET status = 'settled', claim = NULL,
       claimed_at = CASE WHEN delivery.status = 'settled' THEN delivery.claimed_at ELSE now() END,
       next_attempt_at = now() + make_interval(secs => :seconds::float8),
       sender = NULL, recipient = NULL, message = NULL,
       outcome = ended.outcome, reason = ended.reason
  FROM unnest(:ids::uuid[], :hops::int[], :outcomes::text[], :reasons::text[])
       AS ended (membership_id, hop, outcome, reason)
 WHERE delivery.membership_id = ended.membership_id AND delivery.hop = ended.hop;
