"""What a service is made of. Its `wiring.py` says so by calling the methods of `ServiceBuilder`."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import TypeAdapter
from starlette.types import ASGIApp

from libs.chassis.clock import Clock
from libs.chassis.exactly_once import outbox
from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Handler, M
from libs.chassis.kafka.broker import Broker
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.kafka.subscription import Subscription
from libs.chassis.kafka.topics import TopicSpec
from libs.chassis.postgres.partitions import TimePartitioned
from libs.chassis.postgres.pool import Pool
from libs.chassis.process.health import HealthServer
from libs.chassis.process.loops import Loop
from libs.chassis.process.settings import ServiceSettings


@dataclass
class ServiceBuilder:
    """What a service is built with, and what it is made of."""

    service: str
    settings: ServiceSettings
    pool: Pool
    publisher: Publisher
    clock: Clock
    broker: Broker
    health_server: HealthServer
    readers: dict[Reader[Any], Subscription] = field(default_factory=dict)
    loops: list[Loop] = field(default_factory=list)
    partitioned: list[TimePartitioned] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Begin with what every service has: an outbox."""
        self.partition(outbox.kept_for(self.settings.outbox_keep_hours))

    def read(self, topic: TopicSpec, adapter: TypeAdapter[M], handler: Handler[M]) -> Reader[M]:
        """Let a handler have every record of a topic, exactly once."""
        origin = Origin(self.service, topic.name)
        reader = Reader(origin, handler, self.pool, self.publisher)
        most = self.settings.batch_max_records
        subscription = self.broker.subscribe(reader, adapter.validator, _type_of(adapter), most)
        reader.attach(subscription)
        self.readers[reader] = subscription
        return reader

    def listen(
        self, topic: TopicSpec, adapter: TypeAdapter[M], heard: Callable[[list[M]], None]
    ) -> None:
        """Hear every new message of a topic, in every process, without a position."""
        self.broker.listen(topic.name, adapter.validator, _type_of(adapter), heard)

    def repeat(self, loop: Loop) -> None:
        """Let a loop run from the start to the end of the process."""
        self.loops.append(loop)

    def partition(self, *tables: TimePartitioned) -> None:
        """Keep the partitions of these tables: created ahead of need, dropped by age."""
        self.partitioned.extend(tables)

    def serve(self, app: ASGIApp) -> None:
        """Serve these routes beside the health of the service."""
        self.health_server.inner = app


def _type_of(adapter: TypeAdapter[Any]) -> Any:
    return adapter._type  # noqa: SLF001  (an adapter does not say otherwise what it adapts)


@dataclass(frozen=True, slots=True)
class ServiceSpec:
    """What the chassis must know of a service to run it.

    Attributes:
        name: What it is called.
        migrations: Where its migrations are.
        topics: Every topic there is.
        wire: Puts it together.
        planner: Settings of PostgreSQL's planner that it wants.
    """

    name: str
    migrations: Path
    topics: Sequence[TopicSpec]
    wire: Callable[[ServiceBuilder], Awaitable[None]]
    planner: Mapping[str, str] = field(default_factory=dict)
