"""The one file that knows FastStream, and what of aiokafka a consumer needs.

Hot paths are FastStream batch subscribers with our own parser and decoder and manual
acknowledgement, so that one bad record never costs its batch. FastStream keeps the lifecycle and
writes the AsyncAPI document; positions are ours (see `libs.chassis.exactly_once`).
"""

from collections.abc import Callable, Iterable, Sequence
from types import GenericAlias
from typing import Any, Protocol

from aiokafka import ConsumerRebalanceListener, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code
from aiokafka.structs import OffsetAndMetadata
from faststream import AckPolicy
from faststream.kafka import KafkaBroker
from faststream.kafka.annotations import KafkaMessage
from faststream.kafka.message import KafkaAckableMessage
from faststream.specification import AsyncAPI

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Decoder, Incoming, M, read
from libs.chassis.telemetry.logs import logger

_log = logger(__name__)


class TopicSpec(Protocol):
    """What must be known of a topic to create it."""

    @property
    def name(self) -> str:
        """Its name."""
        ...

    @property
    def partitions(self) -> int | None:
        """How many partitions it has; None means the installation's number."""
        ...

    @property
    def cleanup_policy(self) -> str:
        """`delete` or `compact`."""
        ...

    @property
    def retention_ms(self) -> int:
        """How long records are kept; -1 for ever."""
        ...

    @property
    def max_message_bytes(self) -> int:
        """The largest batch of records it takes."""
        ...


class WrongPartitionCount(Exception):  # noqa: N818  (a fact, not a fault of the program)
    """A topic exists with another number of partitions than this installation was given."""


def partition_counts(topics: Iterable[TopicSpec], default: int) -> dict[str, int]:
    """Say how many partitions each topic has in this installation."""
    return {topic.name: topic.partitions or default for topic in topics}


async def ensure_topics(
    bootstrap_servers: str, topics: Sequence[TopicSpec], *, partitions: int, replication: int
) -> None:
    """Create the topics that are missing; refuse to run if one has another partition count.

    Raises:
        WrongPartitionCount: Contacts would change their partition, and with it their order.
    """
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        existing = await _existing(admin, [topic.name for topic in topics])
        wanted = partition_counts(topics, partitions)
        _check_counts(existing, wanted)
        missing = [topic for topic in topics if topic.name not in existing]
        if missing:
            await _create(admin, missing, wanted, replication)
            _check_counts(await _existing(admin, list(wanted)), wanted)
    finally:
        await admin.close()


async def _existing(admin: AIOKafkaAdminClient, names: list[str]) -> dict[str, int]:
    present = set(await admin.list_topics())
    described = await admin.describe_topics([name for name in names if name in present])
    return {one["topic"]: len(one["partitions"]) for one in described if not one["error_code"]}


def _check_counts(existing: dict[str, int], wanted: dict[str, int]) -> None:
    for name, count in existing.items():
        if count != wanted[name]:
            raise WrongPartitionCount(
                f"topic {name} has {count} partitions, but MILLRACE_PARTITIONS asks for "
                f"{wanted[name]}; the number is fixed at installation"
            )


async def _create(
    admin: AIOKafkaAdminClient,
    topics: Sequence[TopicSpec],
    counts: dict[str, int],
    replication: int,
) -> None:
    answer = await admin.create_topics(
        [
            NewTopic(
                topic.name,
                counts[topic.name],
                replication,
                topic_configs={
                    "cleanup.policy": topic.cleanup_policy,
                    "retention.ms": str(topic.retention_ms),
                    "max.message.bytes": str(topic.max_message_bytes),
                },
            )
            for topic in topics
        ]
    )
    for name, code, *_ in answer.topic_errors:
        if code and for_code(code) is not TopicAlreadyExistsError:
            raise for_code(code)(f"topic {name} could not be created")
        _log.info("topic.created", topic=name)


class _Joining(ConsumerRebalanceListener):  # type: ignore[misc]
    """Notices when the group has given out its partitions for the first time."""

    done = False

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Nothing to do: every transaction checks whether a partition is still ours."""

    async def on_partitions_assigned(self, assigned: Any) -> None:  # noqa: ARG002
        """Note it. Arming does not begin here: aiokafka may hand out records before this ends."""
        self.done = True


class Subscription:
    """The consumer behind a FastStream subscriber, as an `exactly_once.reader.Log`."""

    def __init__(self, topic: str, subscriber: Any, joining: _Joining) -> None:
        self._topic = topic
        self._subscriber = subscriber
        self._joining = joining

    @property
    def joined(self) -> bool:
        """True once the group has given this process its share, which may be no partition."""
        return self._joining.done

    @property
    def _consumer(self) -> Any:
        return self._subscriber.consumer

    def assigned(self) -> set[int]:
        """Give the partitions that are assigned to this process now."""
        consumer = self._consumer
        return {tp.partition for tp in consumer.assignment()} if consumer else set()

    def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset."""
        self._consumer.seek(TopicPartition(self._topic, partition), offset)

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Give the first offset and the one after the last of each partition."""
        tps = [TopicPartition(self._topic, partition) for partition in partitions]
        first = await self._consumer.beginning_offsets(tps)
        end = await self._consumer.end_offsets(tps)
        return {tp.partition: (first[tp], end[tp]) for tp in tps}

    async def commit(self, offsets: dict[int, int]) -> None:
        """Tell Kafka where we stand. Only for lag metrics: the truth is in Postgres."""
        assigned = self.assigned()
        told = {
            TopicPartition(self._topic, partition): OffsetAndMetadata(offset, "")
            for partition, offset in offsets.items()
            if partition in assigned
        }
        if told:
            await self._consumer.commit(told)


async def _parser(records: Any, _original: Any) -> KafkaAckableMessage:
    """Wrap a batch without looking into it."""
    first = records[0]
    return KafkaAckableMessage(
        body=b"",
        headers={},
        batch_headers=[],
        reply_to="",
        content_type=None,
        message_id=f"{first.partition}:{first.offset}",
        correlation_id=None,
        raw_message=records,
        consumer=None,
    )


class Broker:
    """The FastStream broker of a service."""

    def __init__(self, bootstrap_servers: str, client_id: str, session_timeout_ms: int) -> None:
        self._session_timeout_ms = session_timeout_ms
        self._client_id = client_id
        self._faststream = KafkaBroker(
            bootstrap_servers,
            client_id=client_id,
            logger=None,
            allow_auto_create_topics=False,
            graceful_timeout=20.0,
        )

    def subscribe(
        self, reader: Reader[M], decoder: Decoder[M], message_type: Any, max_records: int
    ) -> Subscription:
        """Let a reader take the batches of its topic, as a member of its service's group."""

        async def take(body: Any, message: KafkaMessage) -> None:  # noqa: ARG001  (for AsyncAPI)
            await reader.handle_batch(message.incoming)  # type: ignore[attr-defined]

        _carry(take, message_type)
        group = f"{self._client_id}.{reader.topic}"
        return self._connect(reader.topic, decoder, take, group, max_records)

    def listen(
        self, topic: str, decoder: Decoder[M], message_type: Any, heard: Callable[[list[M]], None]
    ) -> Subscription:
        """Hear every new message of a topic in every process, from now on, without a position.

        For answers that only those who wait for them need: `heard` gets each batch's messages.
        """

        async def take(body: Any, message: KafkaMessage) -> None:  # noqa: ARG001  (for AsyncAPI)
            heard([one.message for one in message.incoming if one.fault is None])  # type: ignore[attr-defined]

        _carry(take, message_type)
        return self._connect(topic, decoder, take, None)

    def _connect(
        self, topic: str, decoder: Decoder[M], take: Any, group: str | None, max_records: int = 1000
    ) -> Subscription:
        joining = _Joining()
        subscriber = self._faststream.subscriber(
            topic,
            batch=True,
            group_id=group,
            max_records=max_records,
            batch_timeout_ms=20,
            parser=_parser,
            decoder=_decode_with(decoder),
            ack_policy=AckPolicy.MANUAL,
            auto_offset_reset="earliest" if group else "latest",
            max_partition_fetch_bytes=4 << 20,
            fetch_max_wait_ms=100,
            session_timeout_ms=self._session_timeout_ms,
            heartbeat_interval_ms=self._session_timeout_ms // 4,
            listener=joining,
            title=topic,
        )
        subscriber(take)
        return Subscription(topic, subscriber, joining)

    async def start(self) -> None:
        """Join the groups and begin to read."""
        await self._faststream.start()

    async def stop(self) -> None:
        """Finish the batches under way and leave the groups."""
        await self._faststream.stop()

    def describe(self, title: str) -> dict[str, Any]:
        """Give the AsyncAPI document of what this service reads."""
        document = AsyncAPI(self._faststream, title=title, version="1").to_specification()
        described: dict[str, Any] = document.to_jsonable()
        return described


def _carry(take: Any, message_type: Any) -> None:
    """Tell FastStream what a batch carries, so that the AsyncAPI document can say it."""
    take.__annotations__["body"] = GenericAlias(list, (message_type,))


def _decode_with(decoder: Decoder[M]) -> Any:
    async def decode(message: Any, _original: Any) -> list[M]:
        incoming: list[Incoming[M]] = [read(record, decoder) for record in message.raw_message]
        message.incoming = incoming
        return [one.message for one in incoming if one.fault is None and one.message is not None]

    return decode
