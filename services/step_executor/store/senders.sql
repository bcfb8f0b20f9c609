-- name: register(lease, seconds)!
-- A sending process begins, or begins anew.
INSERT INTO sender (lease, seconds) VALUES (:lease, :seconds);

-- name: beat(lease)^
-- Show that the sender lives; no row if its lease was taken away.
UPDATE sender SET heartbeat = heartbeat + 1 WHERE lease = :lease RETURNING heartbeat;

-- name: heartbeats()
-- Every sender's heartbeat, and how long its lease is.
SELECT lease, heartbeat, seconds FROM sender;

-- name: end_lease(lease, heartbeat)^
-- Take the lease of a sender away whose heartbeat has not moved. Whoever is just claiming under it
-- is waited for, so what it claims is there when this is done.
DELETE FROM sender WHERE lease = :lease AND heartbeat = :heartbeat RETURNING lease;

-- name: take_over(lease, takeovers_at_most)
-- Let others have what was claimed under a lease that was taken away; what was taken over so often
-- before has now cost one more sender its life, and fails. Rows are locked in the order of their
-- keys, as by whoever may still record under this lease.
WITH locked AS (
    SELECT membership_id, hop
      FROM delivery
     WHERE status = 'claimed' AND claim = :lease
     ORDER BY membership_id, hop
       FOR UPDATE
)
UPDATE delivery
   SET status = CASE WHEN takeovers < :takeovers_at_most::int THEN 'pending' ELSE 'settled' END,
       outcome = CASE WHEN takeovers < :takeovers_at_most::int THEN NULL ELSE 'failed' END,
       reason = CASE WHEN takeovers < :takeovers_at_most::int THEN NULL ELSE 'senders_died' END,
       message = CASE WHEN takeovers < :takeovers_at_most::int THEN message END,
       takeovers = takeovers + 1,
       next_attempt_at = now(),
       claimed_at = now(),
       claim = NULL
  FROM locked
 WHERE delivery.membership_id = locked.membership_id AND delivery.hop = locked.hop
RETURNING status;

-- name: leave(lease)!
-- A sender ends in good order. If it still had something in its hands, its lease stays: others will
-- see that it has ended.
DELETE FROM sender
 WHERE lease = :lease
   AND NOT EXISTS (SELECT FROM delivery WHERE status = 'claimed' AND claim = :lease);
