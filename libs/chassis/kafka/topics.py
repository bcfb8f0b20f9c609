"""Administration of topics: what each must be, creating them, refusing a wrong partition count."""

from collections.abc import Iterable, Sequence
from typing import Protocol

from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import TopicAlreadyExistsError, for_code

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
