"""How any service runs: settings, logs, Postgres, Kafka, exactly-once batches, health.

It knows libraries and nothing of ours. The protocol that keeps every message from being lost or
done twice is in the room `exactly_once`.
"""
