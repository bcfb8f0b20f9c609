-- name: tried(ids, hops)
-- Those of these mails that a sender has begun to hand over, whatever it has said of them since. The
-- rows stay locked: what is known of them otherwise settles them.
SELECT delivery.membership_id, delivery.hop, delivery.workspace_id, delivery.contact_id,
       delivery.flow_id, delivery.partition
  FROM unnest(:ids::uuid[], :hops::int[]) AS proven (membership_id, hop)
  JOIN delivery USING (membership_id, hop)
 WHERE delivery.channel = 'email' AND delivery.attempt > 0
 ORDER BY delivery.membership_id, delivery.hop
   FOR UPDATE OF delivery;
