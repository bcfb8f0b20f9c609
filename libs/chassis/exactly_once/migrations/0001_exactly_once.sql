-- Where each partition stands. The truth: Kafka's committed offset is only a lag metric.
CREATE TABLE position (
    topic text NOT NULL,
    partition int NOT NULL,
    next_offset bigint NOT NULL DEFAULT 0 CHECK (next_offset >= 0),
    epoch bigint NOT NULL DEFAULT 0,
    PRIMARY KEY (topic, partition)
) WITH (fillfactor = 20);

-- The highest number taken from each source, per partition read. What is not above it is a repeat.
CREATE TABLE watermark (
    topic text NOT NULL,
    partition int NOT NULL,
    source text NOT NULL,
    last_seq bigint NOT NULL,
    PRIMARY KEY (topic, partition, source)
) WITH (fillfactor = 50);

-- What each source has written to each destination, and how much of it Kafka has acknowledged.
-- Nothing that is unsent was written before `unsent_since`.
CREATE TABLE stream (
    source text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    last_seq bigint NOT NULL,
    relayed_seq bigint NOT NULL DEFAULT 0,
    unsent_since timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, topic, partition),
    CHECK (relayed_seq <= last_seq)
) WITH (fillfactor = 50);

-- One chunk of records per transaction and destination. Kept for some hours after it was sent, and
-- dropped by the hour. Chunks are read once, if at all: compressing them would cost more than it saves.
CREATE TABLE outbox (
    source text NOT NULL,
    topic text NOT NULL,
    partition int NOT NULL,
    first_seq bigint NOT NULL,
    last_seq bigint NOT NULL,
    records bytea STORAGE EXTERNAL NOT NULL,
    written_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (source, topic, partition, last_seq, written_at),
    CHECK (first_seq <= last_seq)
) PARTITION BY RANGE (written_at);
CREATE TABLE outbox_default PARTITION OF outbox DEFAULT;
