-- name: arm(topic, partitions)
-- Begin a new epoch of these partitions, which fences their former owner, and say where they stand.
INSERT INTO position AS mine (topic, partition, epoch)
SELECT :topic, partition, 1
  FROM unnest(:partitions::int[]) AS assigned (partition)
 ORDER BY partition
    ON CONFLICT (topic, partition) DO UPDATE SET epoch = mine.epoch + 1
RETURNING partition, next_offset, epoch;

-- name: advance(topic, partitions, olds, news, epochs)
-- Move positions on, each only if it still stands where we left it, in our epoch.
UPDATE position
   SET next_offset = step.new
  FROM unnest(:partitions::int[], :olds::bigint[], :news::bigint[], :epochs::bigint[])
       AS step (partition, old, new, epoch)
 WHERE position.topic = :topic
   AND position.partition = step.partition
   AND position.next_offset = step.old
   AND position.epoch = step.epoch
RETURNING position.partition;

-- name: advance_numbered(topic, partitions, olds, news, epochs, taken_in, sources, seqs)
-- As `advance`; and remember the highest number taken from each source.
WITH moved AS (
    UPDATE position
       SET next_offset = step.new
      FROM unnest(:partitions::int[], :olds::bigint[], :news::bigint[], :epochs::bigint[])
           AS step (partition, old, new, epoch)
     WHERE position.topic = :topic
       AND position.partition = step.partition
       AND position.next_offset = step.old
       AND position.epoch = step.epoch
    RETURNING position.partition
), marked AS (
    INSERT INTO watermark AS mark (topic, partition, source, last_seq)
    SELECT :topic, taken.partition, taken.source, taken.seq
      FROM unnest(:taken_in::int[], :sources::text[], :seqs::bigint[]) AS taken (partition, source, seq)
      JOIN moved USING (partition)
        ON CONFLICT (topic, partition, source) DO UPDATE SET last_seq = EXCLUDED.last_seq
)
SELECT partition FROM moved;

-- name: hold(topic, partitions, epochs)
-- Lock positions that are still in our epoch, without moving them.
SELECT position.partition
  FROM position
  JOIN unnest(:partitions::int[], :epochs::bigint[]) AS mine (partition, epoch)
    ON position.partition = mine.partition AND position.epoch = mine.epoch
 WHERE position.topic = :topic
 ORDER BY position.partition
   FOR UPDATE OF position;

-- name: watermarks(topic, partitions)
-- The highest number taken from each source in these partitions.
SELECT partition, source, last_seq
  FROM watermark
 WHERE topic = :topic AND partition = ANY (:partitions::int[]);
