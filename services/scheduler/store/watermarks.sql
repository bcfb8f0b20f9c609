-- name: read(shards)
-- Up to where these shards have fired; a shard seen for the first time begins at the epoch.
WITH new AS (
    INSERT INTO timer_watermark (shard)
    SELECT unnest(:shards::int[])
        ON CONFLICT DO NOTHING
    RETURNING shard, fired_until, fired_number
)
SELECT shard, fired_until, fired_number FROM new
UNION ALL
SELECT shard, fired_until, fired_number FROM timer_watermark WHERE shard = ANY (:shards::int[]);

-- name: move(shards, fired_untils, fired_numbers)!
-- Move watermarks forward, never back.
UPDATE timer_watermark AS mark
   SET fired_until = moved.fired_until, fired_number = moved.fired_number
  FROM unnest(:shards::int[], :fired_untils::timestamptz[], :fired_numbers::bigint[])
       AS moved (shard, fired_until, fired_number)
 WHERE mark.shard = moved.shard
   AND (mark.fired_until, mark.fired_number) < (moved.fired_until, moved.fired_number);

-- name: lowest(shards)$
-- Up to where all of so many shards have fired; null if some never have.
SELECT CASE WHEN count(*) = :shards::bigint THEN min(fired_until) END FROM timer_watermark;
