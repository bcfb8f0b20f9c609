-- name: continue_streams(sources, topics, partitions, counts)
-- Give each source the next numbers for each destination; the last of them is returned.
INSERT INTO stream AS mine (source, topic, partition, last_seq)
SELECT source, topic, partition, count
  FROM unnest(:sources::text[], :topics::text[], :partitions::int[], :counts::bigint[])
       AS wanted (source, topic, partition, count)
 ORDER BY source, topic, partition
    ON CONFLICT (source, topic, partition) DO UPDATE SET last_seq = mine.last_seq + EXCLUDED.last_seq
RETURNING source, topic, partition, last_seq;

-- name: write_chunks(sources, topics, partitions, first_seqs, last_seqs, records)!
-- Write one chunk per source and destination.
INSERT INTO outbox (source, topic, partition, first_seq, last_seq, records)
SELECT *
  FROM unnest(
       :sources::text[], :topics::text[], :partitions::int[],
       :first_seqs::bigint[], :last_seqs::bigint[], :records::bytea[]);

-- name: unsent(sources)
-- Chunks of these sources that nobody has seen acknowledged, in order.
SELECT outbox.source, outbox.topic, outbox.partition, outbox.first_seq, outbox.last_seq,
       outbox.records
  FROM stream
  JOIN outbox USING (source, topic, partition)
 WHERE stream.source = ANY (:sources::text[])
   AND stream.relayed_seq < stream.last_seq
   AND outbox.last_seq > stream.relayed_seq
 ORDER BY outbox.source, outbox.topic, outbox.partition, outbox.last_seq;

-- name: mark_sent(sources, topics, partitions, seqs)!
-- Remember what Kafka has acknowledged.
UPDATE stream
   SET relayed_seq = greatest(stream.relayed_seq, sent.seq)
  FROM unnest(:sources::text[], :topics::text[], :partitions::int[], :seqs::bigint[])
       AS sent (source, topic, partition, seq)
 WHERE stream.source = sent.source
   AND stream.topic = sent.topic
   AND stream.partition = sent.partition;

-- name: prune(older_than_seconds, at_most)$
-- Forget some chunks that were sent and are old; say how many.
WITH old AS (
    SELECT outbox.ctid
      FROM outbox
      JOIN stream USING (source, topic, partition)
     WHERE outbox.written_at < now() - make_interval(secs => :older_than_seconds::float8)
       AND outbox.last_seq <= stream.relayed_seq
     ORDER BY outbox.written_at
     LIMIT :at_most::int
), gone AS (
    DELETE FROM outbox WHERE ctid IN (SELECT ctid FROM old) RETURNING 1
)
SELECT count(*) FROM gone;

-- name: backlog()$
-- How many streams have records that were not acknowledged yet.
SELECT count(*) FROM stream WHERE relayed_seq < last_seq;
