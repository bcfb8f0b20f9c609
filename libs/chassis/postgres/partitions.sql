-- name: be_alone()$
-- Take the lock of those who create and drop partitions; false if another process has it.
SELECT pg_try_advisory_xact_lock(hashtext('partitions'));

-- name: be_patient_with_work_not_with_locks()$
-- What is asked for next may take long, but may not wait long for a lock: others would queue up.
SELECT set_config('statement_timeout', '0', true) || set_config('lock_timeout', '1000', true);

-- name: create(parent, period, ahead)
-- Create the partitions that are missing; give their names.
SELECT create_partitions(:parent::text::regclass, :period::text, :ahead::int) AS partition;

-- name: spent(parent, keep_seconds)
-- The partitions that are older than what is kept, oldest first, each with its end.
SELECT partition, ends
  FROM partitions_before(
       :parent::text::regclass, now() - make_interval(secs => :keep_seconds::float8));

-- name: drop(partition)$
-- Drop a partition.
SELECT drop_partition(:partition::text);
