"""What the exactly-once batch asks of whoever publishes for it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol

from libs.chassis.exactly_once.outbox import (
    Chunk,
    Destination,
    OutboxRecord,
    Publishable,
    Sent,
    Stream,
)


class MessageTooLarge(Exception):  # noqa: N818  (a fact; it belongs to the message)
    """A message is larger than its topic takes; committed, it could never be published."""


@dataclass(slots=True)
class PublishResult:
    """What came of publishing some chunks.

    Attributes:
        sent: The last chunk of each stream that Kafka has acknowledged.
        failed: The streams of which something was not acknowledged, and why.
    """

    sent: Sent = field(default_factory=dict)
    failed: dict[Stream, Exception] = field(default_factory=dict)


class Publisher(Protocol):
    """Addresses messages and publishes chunks; on Kafka it is `libs.chassis.kafka.publisher`."""

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        """Address a message: which partition of its topic it goes to.

        Raises:
            MessageTooLarge: If its topic would not take it.
        """
        ...

    def destination(self, message: Publishable) -> Destination:
        """Say which partition of its topic a message goes to."""
        ...

    def room_in(self, topic: str) -> int:
        """Say how many bytes a record's key and value may have together in a topic."""
        ...

    async def publish_chunks(self, chunks: Sequence[Chunk]) -> PublishResult:
        """Publish chunks, in this order for each destination, and wait for acknowledgements."""
        ...
