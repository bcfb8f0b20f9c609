-- name: plan(rows)!
-- Journal new deliveries. A delivery that is known already stays as it is.
INSERT INTO delivery (
       membership_id, hop, partition, workspace_id, contact_id, flow_id, step_id, email_id, status,
       sender, recipient, message, reason)
SELECT membership_id, hop, partition, workspace_id, contact_id, flow_id, step_id, email_id, status,
       sender, recipient, decode(message, 'base64'), reason
  FROM jsonb_to_recordset(:rows::jsonb) AS planned (
       membership_id uuid, hop int, partition int, workspace_id uuid, contact_id uuid, flow_id uuid,
       step_id text, email_id uuid, status text, sender text, recipient text, message text,
       reason text)
    ON CONFLICT DO NOTHING;

-- name: try_again(membership_ids, hops)!
-- The time to try these again has come.
UPDATE delivery
   SET status = 'pending', updated_at = now()
  FROM unnest(:membership_ids::uuid[], :hops::int[]) AS again (membership_id, hop)
 WHERE delivery.membership_id = again.membership_id
   AND delivery.hop = again.hop
   AND delivery.status = 'retry';

-- name: under_way(partitions, epochs, membership_ids, hops, at_most)
-- What may be sent now: what is pending, and what a former owner was sending when it lost the partition.
SELECT delivery.membership_id, delivery.hop, delivery.status
  FROM delivery
  JOIN unnest(:partitions::int[], :epochs::bigint[]) AS mine (partition, epoch)
    ON delivery.partition = mine.partition
 WHERE (delivery.status = 'pending'
        OR (delivery.status = 'sending' AND delivery.claimed_epoch <> mine.epoch))
   AND delivery.status IN ('pending', 'sending')
   AND NOT EXISTS (
       SELECT FROM unnest(:membership_ids::uuid[], :hops::int[]) AS busy (membership_id, hop)
        WHERE busy.membership_id = delivery.membership_id AND busy.hop = delivery.hop)
 ORDER BY delivery.planned_at
 LIMIT :at_most::int;

-- name: claim(membership_ids, hops, partitions, epochs)
-- Write down that these are about to be sent, before they are.
UPDATE delivery
   SET status = 'sending',
       attempt = attempt + 1,
       claimed_epoch = mine.epoch,
       updated_at = now()
  FROM unnest(:membership_ids::uuid[], :hops::int[]) AS wanted (membership_id, hop),
       unnest(:partitions::int[], :epochs::bigint[]) AS mine (partition, epoch)
 WHERE delivery.membership_id = wanted.membership_id
   AND delivery.hop = wanted.hop
   AND delivery.partition = mine.partition
   AND delivery.status IN ('pending', 'sending')
RETURNING delivery.membership_id, delivery.hop, delivery.partition, delivery.workspace_id,
          delivery.contact_id, delivery.attempt, delivery.sender, delivery.recipient,
          delivery.message;

-- name: finish(membership_ids, hops, attempts, statuses, reasons)
-- Write down how attempts ended; what is over for good gives up its message.
UPDATE delivery
   SET status = ended.status,
       reason = ended.reason,
       message = CASE WHEN ended.status = 'retry' THEN delivery.message END,
       updated_at = now()
  FROM unnest(:membership_ids::uuid[], :hops::int[], :attempts::int[], :statuses::text[],
              :reasons::text[]) AS ended (membership_id, hop, attempt, status, reason)
 WHERE delivery.membership_id = ended.membership_id
   AND delivery.hop = ended.hop
   AND delivery.attempt = ended.attempt
   AND delivery.status = 'sending'
RETURNING delivery.membership_id, delivery.hop;
