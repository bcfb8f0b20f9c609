"""What the exactly-once batch asks of whoever publishes for it."""

from collections.abc import Sequence
from typing import Protocol

from libs.chassis.exactly_once.outbox import Chunk, OutboxRecord, Publishable, Sent


class Publisher(Protocol):
    """Addresses messages and publishes chunks; on Kafka it is `libs.chassis.kafka.publisher`."""

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        """Address a message: which partition of its topic it goes to."""
        ...

    async def publish_chunks(self, chunks: Sequence[Chunk]) -> Sent:
        """Publish chunks and wait for the acknowledgements; give the last number of each stream."""
        ...
