"""Publishing: chunks of the outbox in order, and single records that need no outbox."""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.producer.message_accumulator import BatchBuilder

from libs.chassis import failpoints
from libs.chassis.exactly_once.outbox import Chunk, Destination, OutboxRecord, Publishable
from libs.chassis.exactly_once.publisher import MessageTooLarge, PublishResult
from libs.chassis.exactly_once.records import headers_of
from libs.chassis.kafka.partitioning import partition_of
from libs.chassis.telemetry.logs import logger
from libs.chassis.telemetry.metrics import PUBLISHED

_BATCH_BYTES = 1000 * 1024
_ENVELOPE_BYTES = 2048
"""What Kafka adds to a record at most: the batch's head, lengths, and our header."""
_PER_RECORD_BYTES = 64
_DEFAULT_MESSAGE_BYTES = 1024 * 1024
_KEYS_REMEMBERED = 65_536
_Record = tuple[bytes, bytes, list[tuple[str, bytes]]]
"""Key, value and headers."""
_log = logger(__name__)


class Publisher:
    """An idempotent producer that waits for every acknowledgement.

    After an error the producer is thrown away and made anew: what it still had under way may or
    may not arrive, which readers can bear, because they drop repeats.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        partitions: Mapping[str, int],
        max_message_bytes: Mapping[str, int] | None = None,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._partitions = partitions
        most = max_message_bytes or {}
        self._room = {
            topic: most.get(topic, _DEFAULT_MESSAGE_BYTES) - _ENVELOPE_BYTES for topic in partitions
        }
        self._producer: AIOKafkaProducer | None = None
        self._starting = asyncio.Lock()
        self._by_key = lru_cache(_KEYS_REMEMBERED)(self._destination_of)

    def destination(self, message: Publishable) -> Destination:
        """Say which partition a message goes to: the same partition function for every topic."""
        if message.to_partition is not None:
            return Destination(message.topic.name, message.to_partition)
        return self._by_key(message.topic.name, message.key)

    def partition_for(self, key: str, topic: str) -> int:
        """Give the partition of a key in a topic (murmur2, as Kafka's own default)."""
        return self._by_key(topic, key).partition

    def _destination_of(self, topic: str, key: str) -> Destination:
        return Destination(topic, partition_of(key.encode(), self._partitions[topic]))

    def room_in(self, topic: str) -> int:
        """Say how many bytes a record's key and value may have together in a topic."""
        return self._room[topic]

    def outbox_record(self, source: str, message: Publishable) -> OutboxRecord:
        """Address a message.

        Raises:
            MessageTooLarge: If its topic would not take it.
        """
        # Called for every record, so each property of the message is asked for once.
        topic, key, value = message.topic.name, message.key, message.body()
        partition = message.to_partition
        to = self._by_key(topic, key) if partition is None else Destination(topic, partition)
        key_bytes = key.encode()
        if len(key_bytes) + len(value) > self._room[topic]:
            raise MessageTooLarge(
                f"a {type(message).__name__} of {len(value)} bytes does not fit {topic}, "
                f"which takes {self._room[topic]}"
            )
        return OutboxRecord(source, to, key_bytes, value)

    async def publish_all(self, messages: Iterable[Publishable]) -> None:
        """Publish messages outside any outbox; return when Kafka has acknowledged all of them.

        Those of one destination arrive in this order.

        Raises:
            KafkaError: If not all could be had in time; any of them may arrive nevertheless.
        """
        by_destination: defaultdict[Destination, list[_Record]] = defaultdict(list)
        for one in messages:
            by_destination[self.destination(one)].append((one.key.encode(), one.body(), []))
        producer = await self._ready()
        outcomes = await asyncio.gather(
            *(self._send(producer, to, records) for to, records in by_destination.items()),
            return_exceptions=True,
        )
        if failed := [outcome for outcome in outcomes if outcome is not None]:
            await self._start_over()
            raise failed[0]

    async def publish_chunks(self, chunks: Sequence[Chunk]) -> PublishResult:
        """Publish chunks and wait for the acknowledgements.

        Each destination gets its chunks one after another, so that no record can overtake one that
        was numbered before it. What fails, fails for all that was to follow at its destination.

        Raises:
            KafkaError: If there is no producer to be had.
        """
        by_destination: defaultdict[Destination, list[Chunk]] = defaultdict(list)
        for chunk in chunks:
            by_destination[chunk.destination].append(chunk)
        producer = await self._ready()
        outcomes = await asyncio.gather(
            *(
                self._send(producer, to, _numbered(ordered))
                for to, ordered in by_destination.items()
            ),
            return_exceptions=True,
        )
        result = PublishResult()
        for ordered, outcome in zip(by_destination.values(), outcomes, strict=True):
            for chunk in ordered:
                stream = (chunk.source, chunk.destination)
                if outcome is None:
                    result.sent[stream] = chunk
                elif isinstance(outcome, Exception):
                    result.failed[stream] = outcome
                else:
                    raise outcome
        if result.failed:
            await self._start_over()
        return result

    async def _send(
        self, producer: AIOKafkaProducer, to: Destination, records: Iterable[_Record]
    ) -> None:
        for batch in _batches(producer, records, min(_BATCH_BYTES, self.room_in(to.topic))):
            acknowledgement = await producer.send_batch(batch, to.topic, partition=to.partition)
            await acknowledgement
            PUBLISHED.labels(to.topic).inc(batch.record_count())
            failpoints.reach("mid_publish")

    async def _ready(self) -> AIOKafkaProducer:
        async with self._starting:
            if self._producer is None:
                producer = AIOKafkaProducer(
                    bootstrap_servers=self._bootstrap_servers,
                    acks="all",
                    enable_idempotence=True,
                    max_batch_size=2**31 - 1,  # `_batches` says how large they are
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


def _numbered(chunks: Iterable[Chunk]) -> Iterator[_Record]:
    """Give the records of chunks, each with the number its readers know it by."""
    for chunk in chunks:
        for seq, (key, value) in enumerate(chunk.records, chunk.first_seq):
            yield key, value, headers_of(chunk.source, seq)


def _batches(
    producer: AIOKafkaProducer, records: Iterable[_Record], most_bytes: int
) -> Iterator[BatchBuilder]:
    """Put records into as few of Kafka's batches as the topic allows."""
    batch, size = producer.create_batch(), 0
    for key, value, headers in records:
        room = len(key) + len(value) + sum(len(text) for _, text in headers) + _PER_RECORD_BYTES
        if size + room > most_bytes and batch.record_count():
            yield batch
            batch, size = producer.create_batch(), 0
        size += room
        batch.append(timestamp=None, key=key, value=value, headers=headers)
    yield batch
