"""What the chassis does for every service by itself, and how a service says that it is ready."""

from typing import Any

from libs.chassis.exactly_once import outbox
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.kafka.subscription import Subscription
from libs.chassis.outages import retry_later
from libs.chassis.postgres.partitions import maintain_partitions
from libs.chassis.postgres.pool import transaction
from libs.chassis.process.builder import ServiceBuilder
from libs.chassis.process.loops import Loop, every
from libs.chassis.telemetry.logs import logger
from libs.chassis.telemetry.metrics import OUTBOX_BACKLOG

_MAINTAIN_SECONDS = 0.2
_COMMIT_SECONDS = 5.0
_COUNT_SECONDS = 30.0
_PARTITION_SECONDS = 60.0
_log = logger(__name__)


def maintenance_of(builder: ServiceBuilder) -> list[Loop]:
    """Give the loops every service has."""

    async def maintain() -> None:
        for reader in builder.readers:
            await reader.maintain()

    async def commit() -> None:
        await commit_offsets(builder)

    async def count() -> None:
        await _count_backlog(builder)

    async def partition() -> None:
        await maintain_partitions(builder.pool, builder.partitioned)

    return [
        every(_MAINTAIN_SECONDS, maintain),
        every(_COMMIT_SECONDS, commit),
        every(_COUNT_SECONDS, count),
        every(_PARTITION_SECONDS, partition),
    ]


async def commit_offsets(builder: ServiceBuilder) -> None:
    """Tell Kafka where every reader stands, which is only a metric there."""
    for reader, subscription in builder.readers.items():
        await _commit(reader, subscription)


async def _commit(reader: Reader[Any], subscription: Subscription) -> None:
    try:
        await subscription.commit({one.partition: one.next_offset for one in reader.armed.values()})
    except Exception as error:  # noqa: BLE001  (only a metric)
        _log.debug("offsets.not_committed", topic=reader.topic, reason=repr(error))


async def _count_backlog(builder: ServiceBuilder) -> None:
    with retry_later("backlog.not_counted"):
        async with transaction(builder.pool) as tx:
            OUTBOX_BACKLOG.set(await outbox.backlog(tx))


def say_how_it_is(builder: ServiceBuilder) -> None:
    """Say what readiness looks at: the database, the broker, the partitions."""

    async def database() -> str | None:
        return None if await builder.pool.fetchval("SELECT 1") == 1 else "wrong answer"

    async def broker() -> str | None:
        for reader in builder.readers:
            await reader.log.bounds(sorted(reader.armed)[:1])
        return None

    async def partitions() -> str | None:
        waiting = [
            reader.topic
            for reader in builder.readers
            if reader.log.assigned() - reader.armed.keys() - reader.ownership.blocked
        ]
        joining = [reader.topic for reader, log in builder.readers.items() if not log.joined]
        return f"not armed yet: {', '.join(waiting + joining)}" if waiting or joining else None

    builder.health_server.checks = {
        "database": database,
        "broker": broker,
        "partitions": partitions,
    }
