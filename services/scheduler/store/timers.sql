-- name: open_days(days)$
-- See that the partitions of these days exist.
SELECT open_timer_days(:days::date[]);

-- name: keep(partitions, due_ats, workspaces, contacts, memberships, hops, purposes)!
-- Keep timers, in their order.
INSERT INTO timer (partition, due_at, workspace_id, contact_id, membership_id, hop, purpose)
SELECT *
  FROM unnest(
       :partitions::int[], :due_ats::timestamptz[], :workspaces::uuid[], :contacts::uuid[],
       :memberships::uuid[], :hops::int[], :purposes::text[]);

-- name: partitions_due(partitions, now)
-- The partitions, of these, in which a timer is due.
SELECT mark.partition
  FROM timer_watermark AS mark
 WHERE mark.partition = ANY (:partitions::int[])
   AND EXISTS (
       SELECT FROM timer
        WHERE timer.partition = mark.partition
          AND timer.due_at >= mark.fired_until
          AND timer.due_at <= :now
          AND (timer.due_at, timer.number) > (mark.fired_until, mark.fired_number));

-- name: due(partitions, now, at_most)
-- What is due in each partition, in order, at most so many per partition.
SELECT timer.partition, timer.due_at, timer.number, timer.workspace_id, timer.contact_id,
       timer.membership_id, timer.hop, timer.purpose
  FROM timer_watermark AS mark,
       LATERAL (
           SELECT *
             FROM timer
            WHERE timer.partition = mark.partition
              AND timer.due_at >= mark.fired_until
              AND timer.due_at <= :now
              AND (timer.due_at, timer.number) > (mark.fired_until, mark.fired_number)
            ORDER BY timer.due_at, timer.number
            LIMIT :at_most::int
       ) AS timer
 WHERE mark.partition = ANY (:partitions::int[])
 ORDER BY timer.partition, timer.due_at, timer.number;

-- name: database_time()$
-- The database's clock, which is the same for all schedulers.
SELECT clock_timestamp();

-- name: index_days(up_to)$
-- Index the days that come near.
SELECT index_timer_days(:up_to::date);

-- name: drop_days(passed)$
-- Drop the days that every partition has passed.
SELECT drop_timer_days(:passed::timestamptz);
