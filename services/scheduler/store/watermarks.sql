-- name: read(partitions)
-- Up to where these partitions have fired; a partition seen for the first time begins at the epoch.
WITH new AS (
    INSERT INTO timer_watermark (partition)
    SELECT unnest(:partitions::int[])
        ON CONFLICT DO NOTHING
    RETURNING partition, fired_until, fired_number
)
SELECT partition, fired_until, fired_number FROM new
UNION ALL
SELECT partition, fired_until, fired_number FROM timer_watermark WHERE partition = ANY (:partitions::int[]);

-- name: move(partitions, fired_untils, fired_numbers)!
-- Move watermarks forward, never back.
UPDATE timer_watermark AS mark
   SET fired_until = moved.fired_until, fired_number = moved.fired_number
  FROM unnest(:partitions::int[], :fired_untils::timestamptz[], :fired_numbers::bigint[])
       AS moved (partition, fired_until, fired_number)
 WHERE mark.partition = moved.partition
   AND (mark.fired_until, mark.fired_number) < (moved.fired_until, moved.fired_number);

-- name: lowest(partitions)$
-- Up to where all of so many partitions have fired; null if some never have.
SELECT CASE WHEN count(*) = :partitions::bigint THEN min(fired_until) END FROM timer_watermark;
