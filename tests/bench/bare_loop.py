"""The least that an exactly-once loop can be: what the chassis is measured against.

One batch after the other: read with aiokafka, decode with pydantic, then in one transaction move
the positions by compare-and-set, insert a row per record and an outbox row per destination, and
after the commit produce. There is no group, no fencing, no number on a record, no dead letter, no
metric, no recovery; a fault ends it. Under uvloop, with the same record and the same insert as
`echo_loop`.

`python -m tests.bench.bare_loop`, with BENCH_FROM, BENCH_TO, DATABASE_URL and
KAFKA_BOOTSTRAP_SERVERS. It runs until it is killed.
"""

import asyncio
import os
import struct
import zlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from tests.bench.activity import ADAPTER, BATCH, PARTITIONS, Activity, keep
from tests.bench.echo_loop import MIGRATIONS

Message = tuple[bytes, bytes]
_LENGTHS = struct.Struct(">HI")
_FETCH_BYTES, _PRODUCE_BYTES = 4 << 20, 256 * 1024
_TABLES = """
CREATE TABLE stand (partition int PRIMARY KEY, next_offset bigint NOT NULL) WITH (fillfactor = 20);
CREATE TABLE said (
    partition int, number bigint, records bytea NOT NULL, PRIMARY KEY (partition, number)
);
INSERT INTO stand SELECT one, 0 FROM generate_series(0, $1) AS one;
"""
_ADVANCE = """
UPDATE stand SET next_offset = step.new
  FROM unnest($1::int[], $2::bigint[], $3::bigint[]) AS step (partition, old, new)
 WHERE stand.partition = step.partition AND stand.next_offset = step.old
RETURNING stand.partition
"""
_SAY = """
INSERT INTO said SELECT one, $1, records FROM unnest($2::int[], $3::bytea[]) AS t (one, records)
"""


@dataclass
class Batch:
    """What was read at once: the activities, what is to be said, and where it leads."""

    activities: list[Activity] = field(default_factory=list)
    said: dict[int, list[Message]] = field(default_factory=dict)
    steps: list[tuple[int, int, int]] = field(default_factory=list)


def read(fetched: Mapping[Any, Sequence[Any]]) -> Batch:
    batch = Batch()
    for place, records in fetched.items():
        batch.steps.append((place.partition, records[0].offset, records[-1].offset + 1))
        for one in records:
            activity = ADAPTER.validate_json(one.value)
            batch.activities.append(activity)
            to = zlib.crc32(one.key) % PARTITIONS
            batch.said.setdefault(to, []).append((one.key, activity.said_on()))
    return batch


def pack(messages: Iterable[Message]) -> bytes:
    return b"".join(_LENGTHS.pack(len(key), len(body)) + key + body for key, body in messages)


async def keep_batch(
    connection: "asyncpg.Connection[asyncpg.Record]", batch: Batch, number: int
) -> None:
    async with connection.transaction():
        moved = await connection.fetch(_ADVANCE, *map(list, zip(*batch.steps, strict=True)))
        assert len(moved) == len(batch.steps)
        await keep(connection, batch.activities)
        packed = [pack(messages) for messages in batch.said.values()]
        await connection.execute(_SAY, number, list(batch.said), packed)


async def produce(producer: AIOKafkaProducer, topic: str, said: dict[int, list[Message]]) -> None:
    acknowledged = []
    for partition, messages in said.items():
        at = 0
        while at < len(messages):
            chunk = producer.create_batch()
            while at < len(messages):
                key, body = messages[at]
                if chunk.append(key=key, value=body, timestamp=None) is None:
                    break
                at += 1
            acknowledged.append(await producer.send_batch(chunk, topic, partition=partition))
    await asyncio.gather(*acknowledged)


async def run() -> None:
    heard, said = os.environ["BENCH_FROM"], os.environ["BENCH_TO"]
    servers = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
    connection = await asyncpg.connect(os.environ["DATABASE_URL"])
    await connection.execute((MIGRATIONS / "0001_heard.sql").read_text())
    await connection.execute(_TABLES.replace("$1", str(PARTITIONS - 1)))
    consumer = AIOKafkaConsumer(
        bootstrap_servers=servers,
        enable_auto_commit=False,
        max_partition_fetch_bytes=_FETCH_BYTES,
        auto_offset_reset="earliest",
    )
    producer = AIOKafkaProducer(
        bootstrap_servers=servers, acks="all", linger_ms=2, max_batch_size=_PRODUCE_BYTES
    )
    await consumer.start()
    await producer.start()
    consumer.assign([TopicPartition(heard, number) for number in range(PARTITIONS)])
    number = 0
    while True:
        if fetched := await consumer.getmany(timeout_ms=500, max_records=BATCH):
            batch, number = read(fetched), number + 1
            await keep_batch(connection, batch, number)
            await produce(producer, said, batch.said)


if __name__ == "__main__":
    uvloop.run(run())
