-- name: write(sources, topics, partitions, counts, records)
-- Write one chunk per source and destination under the next numbers; give the last of each.
-- The time is taken under the stream's row lock, so that it follows the order of the numbers.
WITH said AS (
    SELECT *
      FROM unnest(:sources::text[], :topics::text[], :partitions::int[], :counts::bigint[], :records::bytea[])
           AS said (source, topic, partition, count, records)
), numbered AS (
    INSERT INTO stream AS mine (source, topic, partition, last_seq)
    SELECT source, topic, partition, count FROM said ORDER BY source, topic, partition
        ON CONFLICT (source, topic, partition) DO UPDATE
       SET last_seq = mine.last_seq + EXCLUDED.last_seq,
           unsent_since = CASE WHEN mine.relayed_seq < mine.last_seq THEN mine.unsent_since ELSE clock_timestamp() END
    RETURNING source, topic, partition, last_seq, clock_timestamp() AS written_at
), written AS (
    INSERT INTO outbox (source, topic, partition, first_seq, last_seq, records, written_at)
    SELECT source, topic, partition, last_seq - count + 1, last_seq, records, written_at
      FROM numbered
      JOIN said USING (source, topic, partition)
)
SELECT source, topic, partition, last_seq, written_at FROM numbered;

-- name: unsent(sources)
-- Chunks of these sources that nobody has seen acknowledged, in order. Only the partitions of the
-- outbox that can hold some are looked into, with an hour to spare for a clock that was set back.
WITH waiting AS MATERIALIZED (
    SELECT source, topic, partition, relayed_seq, unsent_since
      FROM stream
     WHERE source = ANY (:sources::text[])
       AND relayed_seq < last_seq
)
SELECT outbox.source, outbox.topic, outbox.partition, outbox.first_seq, outbox.last_seq,
       outbox.records, outbox.written_at
  FROM waiting
  JOIN outbox USING (source, topic, partition)
 WHERE outbox.last_seq > waiting.relayed_seq
   AND outbox.written_at >= (SELECT min(unsent_since) - interval '1 hour' FROM waiting)
 ORDER BY outbox.source, outbox.topic, outbox.partition, outbox.last_seq;

-- name: mark_sent(sources, topics, partitions, seqs, written_ats)!
-- Remember what Kafka has acknowledged; what is still unsent was written after that.
UPDATE stream
   SET relayed_seq = sent.seq,
       unsent_since = sent.written_at
  FROM unnest(:sources::text[], :topics::text[], :partitions::int[], :seqs::bigint[],
              :written_ats::timestamptz[])
       AS sent (source, topic, partition, seq, written_at)
 WHERE stream.source = sent.source
   AND stream.topic = sent.topic
   AND stream.partition = sent.partition
   AND stream.relayed_seq < sent.seq;

-- name: backlog()$
-- How many streams have records that were not acknowledged yet.
SELECT count(*) FROM stream WHERE relayed_seq < last_seq;

-- name: all_sent_before(ends)$
-- True if everything that was written before an instant has been acknowledged.
SELECT NOT EXISTS (
       SELECT FROM stream
        WHERE relayed_seq < last_seq
          AND unsent_since - interval '1 hour' < :ends::timestamptz);
