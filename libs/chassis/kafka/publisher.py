"""Publishing: chunks of the outbox in order, and single records that need no outbox."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.partitioner import murmur2

from libs.chassis import failpoints
from libs.chassis.exactly_once.outbox import Chunk, Destination, OutboxRecord, Publishable, Sent
from libs.chassis.exactly_once.records import headers_of
from libs.chassis.telemetry.logs import logger
from libs.chassis.telemetry.metrics import PUBLISHED

_BATCH_BYTES = 256 * 1024
_log = logger(__name__)


class Publisher:
    """An idempotent producer that waits for every acknowledgement.

    After an error the producer is thrown away and made anew: what it still had under way may or
    may not arrive, which readers can bear, because they drop repeats.
    """

    def __init__(self, bootstrap_servers: str, partitions: Mapping[str, int]) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._partitions = partitions
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()

    def destination(self, message: Publishable) -> Destination:
        """Say which partition a message goes to: the same partition function for every topic."""
        name = message.topic.name
        if message.to_partition is not None:
            return Destination(name, message.to_partition)
        return Destination(name, self.partition_for(message.key, name))

    def partition_for(self, key: str, topic: str) -> int:
        """Give the partition of a key in a topic (murmur2, as Kafka's own default)."""
        return int(murmur2(key.encode()) & 0x7FFFFFFF) % self._partitions[topic]

    def partitions_of(self, topic: str) -> int:
        """Say how many partitions a topic has."""
        return self._partitions[topic]

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        """Address a message."""
        return OutboxRecord(source, self.destination(message), message.key.encode(), message.body())

    async def publish(self, message: Publishable) -> None:
        """Publish one message outside any outbox; return when Kafka has acknowledged it.

        Raises:
            KafkaError: If it could not be had in time; it may arrive nevertheless.
        """
        to = self.destination(message)
        producer = await self._ready()
        try:
            await producer.send_and_wait(
                to.topic, message.body(), key=message.key.encode(), partition=to.partition
            )
        except KafkaError:
            await self._start_over()
            raise
        PUBLISHED.labels(to.topic).inc()

    async def publish_chunks(self, chunks: Sequence[Chunk]) -> Sent:
        """Publish chunks and wait for the acknowledgements; give the last number of each stream.

        Each destination gets its chunks one after another, so that no record can overtake one that
        was numbered before it.

        Raises:
            KafkaError: If some were not acknowledged; the outbox still has them.
        """
        by_destination: defaultdict[Destination, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            by_destination[chunk.destination].append(chunk)
        producer = await self._ready()
        try:
            await asyncio.gather(
                *(self._send(producer, to, ordered) for to, ordered in by_destination.items())
            )
        except KafkaError:
            await self._start_over()
            raise
        return {(chunk.source, chunk.destination): chunk.last_seq for chunk in chunks}

    async def _send(
        self, producer: AIOKafkaProducer, to: Destination, chunks: Iterable[Chunk]
    ) -> None:
        records = [
            (key, value, headers_of(chunk.source, seq))
            for chunk in chunks
            for seq, (key, value) in enumerate(chunk.records, chunk.first_seq)
        ]
        at = 0
        while at < len(records):
            batch = producer.create_batch()
            first = at
            while at < len(records):
                key, value, headers = records[at]
                if batch.append(key=key, value=value, timestamp=None, headers=headers) is None:
                    break
                at += 1
            acknowledgement = await producer.send_batch(batch, to.topic, partition=to.partition)
            await acknowledgement
            PUBLISHED.labels(to.topic).inc(at - first)
            failpoints.reach("mid_publish")

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap_servers,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=_BATCH_BYTES,
                    request_timeout_ms=10_000,
                    retry_backoff_ms=100,
                )
                try:
                    await producer.start()
                except BaseException:
                    await producer.stop()
                    raise
                self._producer = producer
            return self._producer

    async def _start_over(self) -> None:
        _log.warning("publisher.restarted")
        await self.close()

    async def close(self) -> None:
        """Stop the producer, if there is one; what it holds is not waited for long."""
        producer, self._producer = self._producer, None
        if producer is not None:
            try:
                await asyncio.wait_for(producer.stop(), 5)
            except (KafkaError, TimeoutError) as error:
                _log.warning("publisher.stop_failed", error=str(error))
