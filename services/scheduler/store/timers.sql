-- name: keep(partitions, due_ats, workspaces, contacts, memberships, hops)!
-- Keep timers, in their order.
INSERT INTO timer (partition, due_at, workspace_id, contact_id, membership_id, hop)
SELECT *
  FROM unnest(
       :partitions::int[], :due_ats::timestamptz[], :workspaces::uuid[], :contacts::uuid[],
       :memberships::uuid[], :hops::int[]);

-- name: use_indexes()$
-- A plan made while a day was small would read it from end to end when it has grown.
SELECT set_config('enable_seqscan', 'off', true), set_config('jit', 'off', true);

-- name: due(partitions, until, at_most)
-- What is due in each partition, in order, at most so many per partition.
SELECT timer.partition, timer.number, timer.due_at, timer.workspace_id, timer.contact_id,
       timer.membership_id, timer.hop
  FROM unnest(:partitions::int[]) AS wanted (partition)
  LEFT JOIN timer_watermark AS mark ON mark.partition = wanted.partition,
       LATERAL (
           SELECT *
             FROM timer
            WHERE timer.partition = wanted.partition
              AND timer.due_at >= coalesce(mark.fired_until, 'epoch')
              AND timer.due_at <= :until
              AND (timer.due_at, timer.number)
                  > (coalesce(mark.fired_until, 'epoch'), coalesce(mark.fired_number, 0))
            ORDER BY timer.due_at, timer.number
            LIMIT :at_most::int
       ) AS timer;

-- name: upcoming(partitions, until)
-- When the next timer of each partition is due; looked for up to an instant.
SELECT wanted.partition, timer.due_at
  FROM unnest(:partitions::int[]) AS wanted (partition)
  LEFT JOIN timer_watermark AS mark ON mark.partition = wanted.partition,
       LATERAL (
           SELECT timer.due_at
             FROM timer
            WHERE timer.partition = wanted.partition
              AND timer.due_at >= coalesce(mark.fired_until, 'epoch')
              AND timer.due_at <= :until
              AND (timer.due_at, timer.number)
                  > (coalesce(mark.fired_until, 'epoch'), coalesce(mark.fired_number, 0))
            ORDER BY timer.due_at, timer.number
            LIMIT 1
       ) AS timer;

-- name: database_time()$
-- The database's clock, which is the same for all schedulers.
SELECT clock_timestamp();
