"""Writing to and reading from topics as somebody outside."""

import json
from collections.abc import Sequence
from typing import Any

from confluent_kafka import Consumer, Producer, TopicPartition

Record = tuple[str | bytes, bytes | None, Sequence[tuple[str, bytes | None]]]
"""Key, value, headers."""


def write(servers: str, topic: str, records: Sequence[Record]) -> None:
    """Write records; the key decides the partition as Java's clients do."""
    producer = Producer(
        {"bootstrap.servers": servers, "partitioner": "murmur2_random", "enable.idempotence": True,
         "message.max.bytes": 2_000_000, "log_level": 0}
    )  # fmt: skip
    for key, value, headers in records:
        producer.produce(topic, value, key, headers=dict(headers))
    assert producer.flush(60) == 0


def note(who: str, number: int) -> Record:
    return who, json.dumps({"who": who, "number": number}).encode(), []


def everything_in(servers: str, topic: str, partitions: int) -> list[Any]:
    """Read a topic from its beginning to its present end."""
    consumer = Consumer(
        {"bootstrap.servers": servers, "group.id": "outside", "enable.auto.commit": False,
         "auto.offset.reset": "earliest", "enable.partition.eof": True, "log_level": 0}
    )  # fmt: skip
    consumer.assign([TopicPartition(topic, number, 0) for number in range(partitions)])
    found, ended = [], 0
    while ended < partitions:
        record = consumer.poll(30)
        assert record is not None, f"{topic} cannot be read"
        if record.error():
            ended += 1
        else:
            found.append(record)
    consumer.close()
    return found
