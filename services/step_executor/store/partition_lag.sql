-- name: write(partitions, seconds)!
-- How far partitions are behind, as their owner sees it now.
INSERT INTO partition_lag (partition, seconds, measured_at)
SELECT partition, seconds, now()
  FROM unnest(:partitions::int[], :seconds::float8[]) AS lag (partition, seconds)
    ON CONFLICT (partition) DO UPDATE
   SET seconds = EXCLUDED.seconds, measured_at = EXCLUDED.measured_at;
