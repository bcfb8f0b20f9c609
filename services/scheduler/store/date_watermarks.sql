-- name: read(partitions)
-- How far these partitions have followed time; one that never has is left out.
SELECT partition, passed_until, revision
  FROM date_watermark
 WHERE partition = ANY (:partitions::int[]);

-- name: move(partitions, passed_untils, revisions)!
-- Move on, never back.
INSERT INTO date_watermark AS mark (partition, passed_until, revision)
SELECT *
  FROM unnest(:partitions::int[], :passed_untils::timestamptz[], :revisions::bigint[])
    ON CONFLICT (partition) DO UPDATE
   SET passed_until = greatest(mark.passed_until, EXCLUDED.passed_until),
       revision = greatest(mark.revision, EXCLUDED.revision);
