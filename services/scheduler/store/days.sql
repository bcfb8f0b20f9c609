-- name: days()
-- The days that are open, and whether each can be read in order. One that was dropped while this
-- statement runs is left out.
SELECT day, timer_day_is_indexed(day) AS indexed
  FROM timer_day
 WHERE to_regclass(timer_day_table(day)) IS NOT NULL
 ORDER BY day;

-- name: open_days(days, near)$
-- See that these days are open; the near ones get their index at once.
SELECT open_timer_days(:days::date[], :near::date);

-- name: be_alone()$
-- Take the lock of those who index and drop days; false if another process has it.
SELECT pg_try_advisory_lock(hashtext('timer_day_upkeep'));

-- name: be_patient()$
-- Building an index may take as long as it takes.
SELECT set_config('statement_timeout', '0', false);

-- name: to_index(near)
-- How to index the days that come near: clear away what a builder that died has left, build anew.
SELECT format('DROP INDEX CONCURRENTLY IF EXISTS %I', timer_day_index(day)) AS clear,
       format('CREATE INDEX CONCURRENTLY %I ON %I (partition, due_at, number)',
              timer_day_index(day), timer_day_table(day)) AS build
  FROM timer_day
 WHERE day <= :near::date AND NOT timer_day_is_indexed(day)
 ORDER BY day;

-- name: drop_days(passed)$
-- Drop the days that every partition has passed.
SELECT drop_timer_days(:passed::timestamptz);
