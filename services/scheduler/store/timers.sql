-- name: open_days(days)$
-- See that the partitions of these days exist.
SELECT open_timer_days(:days::date[]);

-- name: keep(shards, due_ats, workspaces, contacts, memberships, hops, purposes)!
-- Keep timers, in their order.
INSERT INTO timer (shard, due_at, workspace_id, contact_id, membership_id, hop, purpose)
SELECT *
  FROM unnest(
       :shards::int[], :due_ats::timestamptz[], :workspaces::uuid[], :contacts::uuid[],
       :memberships::uuid[], :hops::int[], :purposes::text[]);

-- name: shards_due(shards, now)
-- The shards, of these, in which a timer is due.
SELECT mark.shard
  FROM timer_watermark AS mark
 WHERE mark.shard = ANY (:shards::int[])
   AND EXISTS (
       SELECT FROM timer
        WHERE timer.shard = mark.shard
          AND timer.due_at >= mark.fired_until
          AND timer.due_at <= :now
          AND (timer.due_at, timer.number) > (mark.fired_until, mark.fired_number));

-- name: due(shards, now, at_most)
-- What is due in each shard, in order, at most so many per shard.
SELECT timer.shard, timer.due_at, timer.number, timer.workspace_id, timer.contact_id,
       timer.membership_id, timer.hop, timer.purpose
  FROM timer_watermark AS mark,
       LATERAL (
           SELECT *
             FROM timer
            WHERE timer.shard = mark.shard
              AND timer.due_at >= mark.fired_until
              AND timer.due_at <= :now
              AND (timer.due_at, timer.number) > (mark.fired_until, mark.fired_number)
            ORDER BY timer.due_at, timer.number
            LIMIT :at_most::int
       ) AS timer
 WHERE mark.shard = ANY (:shards::int[])
 ORDER BY timer.shard, timer.due_at, timer.number;

-- name: database_time()$
-- The database's clock, which is the same for all schedulers.
SELECT clock_timestamp();

-- name: index_days(up_to)$
-- Index the days that come near.
SELECT index_timer_days(:up_to::date);

-- name: drop_days(passed)$
-- Drop the days that every shard has passed.
SELECT drop_timer_days(:passed::timestamptz);
