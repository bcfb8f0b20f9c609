"""What every service counts. Served at /metrics in Prometheus's format."""

from prometheus_client import Counter, Gauge, Histogram

BATCHES = Counter("millrace_batches_total", "Batches committed.", ["topic"])
RECORDS = Counter(
    "millrace_records_total",
    "Records read, by what became of them: handled, repeated, dead_lettered.",
    ["topic", "outcome"],
)
PUBLISHED = Counter("millrace_published_total", "Records published and acknowledged.", ["topic"])
RESENT = Counter("millrace_resent_total", "Records sent again from the outbox on arming.")
ARMED = Counter("millrace_arms_total", "Partitions armed.", ["topic"])
FENCED = Counter(
    "millrace_fenced_total",
    "Transactions given up because another process owns a partition.",
    ["topic"],
)
GAPS = Counter(
    "millrace_sequence_gaps_total", "Numbers missing from a source: a loss. Must stay 0.", ["topic"]
)
OUTAGES = Counter("millrace_outages_total", "Work retried later, after an outage.", ["topic"])
WAITING = Gauge(
    "millrace_waiting_partitions",
    "Partitions held back: what their next record needs has not arrived, or is not ready.",
    ["topic"],
)
BLOCKED = Gauge(
    "millrace_blocked_partitions",
    "Partitions not armed because what their outbox holds cannot be published.",
    ["topic"],
)
OUTBOX_BACKLOG = Gauge(
    "millrace_outbox_backlog_streams", "Streams with records Kafka has not acknowledged yet."
)
BATCH_SECONDS = Histogram(
    "millrace_batch_seconds", "Time for one batch, from records to acknowledgements.", ["topic"]
)
ASSIGNED = Gauge("millrace_assigned_partitions", "Partitions armed by this process.", ["topic"])
