-- name: read(partitions)
-- Up to where these partitions have fired; one that never has is left out.
SELECT partition, fired_until, fired_number
  FROM timer_watermark
 WHERE partition = ANY (:partitions::int[]);

-- name: move(partitions, fired_untils, fired_numbers)!
-- Move watermarks forward, never back.
INSERT INTO timer_watermark AS mark (partition, fired_until, fired_number)
SELECT partition, fired_until, fired_number
  FROM unnest(:partitions::int[], :fired_untils::timestamptz[], :fired_numbers::bigint[])
       AS moved (partition, fired_until, fired_number)
 ORDER BY partition
    ON CONFLICT (partition) DO UPDATE
   SET fired_until = EXCLUDED.fired_until, fired_number = EXCLUDED.fired_number
 WHERE (mark.fired_until, mark.fired_number) < (EXCLUDED.fired_until, EXCLUDED.fired_number);

-- name: lowest(partitions)$
-- Up to where all of so many partitions have fired; null if some never have.
SELECT CASE WHEN count(*) = :partitions::bigint THEN min(fired_until) END FROM timer_watermark;
