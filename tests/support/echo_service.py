"""A small service made of the chassis: it keeps what it hears and, if told to, says it on.

`python -m tests.support.echo_service`, with ECHO_NAME, ECHO_FROM, ECHO_TO (may be empty) and the
chassis's own variables. It is killed at named points by tests, and run inside tests as `Node`.
"""

import asyncio
import contextlib
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pydantic import BaseModel, TypeAdapter

from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Handler, Outgoing, Received, Results
from libs.chassis.kafka.broker import Broker
from libs.chassis.kafka.publisher import Publisher
from libs.chassis.kafka.subscription import Subscription
from libs.chassis.kafka.topics import ensure_topics
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, Transaction, open_pool
from libs.chassis.process.builder import ServiceBuilder, ServiceSpec
from libs.chassis.process.memory import collect_garbage_rarely
from libs.chassis.process.run import run_service
from libs.chassis.process.settings import ServiceSettings
from libs.contracts.topics import Topic, dead_letters_of

MIGRATIONS = Path(__file__).parent / "echo_migrations"
PARTITIONS = 4
SESSION_MS = 3000


class Note(BaseModel):
    """What is said: a number, under the key of somebody."""

    who: str
    number: int


ADAPTER: TypeAdapter[Note] = TypeAdapter(Note)


@dataclass
class Echo:
    """A note said on to a topic."""

    note: Note
    topic: Topic

    @property
    def key(self) -> str:
        return self.note.who

    @property
    def to_partition(self) -> int | None:
        return None

    def body(self) -> bytes:
        return self.note.model_dump_json().encode()


async def keep(
    tx: Transaction, batch: Sequence[Received[Note]], *, say_on: Topic | None
) -> list[Outgoing]:
    """Keep every note; one with a negative number is a fault of the handler."""
    notes = [received.message for received in batch]
    if any(note.number < 0 for note in notes):
        raise ValueError("a negative number")
    await tx.execute(
        "INSERT INTO heard (who, number) SELECT * FROM unnest($1::text[], $2::int[])",
        [note.who for note in notes],
        [note.number for note in notes],
    )
    return [one.causes(Echo(one.message, say_on)) for one in batch] if say_on else []


def topics_named(*names: str) -> tuple[Topic, ...]:
    spoken = [Topic(name, PARTITIONS) for name in names if name]
    return (*spoken, *(dead_letters_of(topic) for topic in spoken))


class Node:
    """The service inside a test: its reader can be looked at and tampered with."""

    def __init__(
        self, pool: Pool, servers: str, names: tuple[str, str], max_records: int = 100
    ) -> None:
        self.pool = pool
        self._servers = servers
        self.heard_on, self.says_on = names
        topics = topics_named(*names)
        counts = {topic.name: PARTITIONS for topic in topics}
        limits = {topic.name: topic.max_message_bytes for topic in topics}
        self.publisher = Publisher(servers, counts, limits)
        say_on = topics[1] if self.says_on else None
        self.handler: Handler[Note] = partial(keep, say_on=say_on)
        self.broker = Broker(servers, "echo", SESSION_MS)
        self.reader: Reader[Note] = Reader(
            Origin("echo", self.heard_on), self._handle, pool, self.publisher
        )
        self.subscription: Subscription = self.broker.subscribe(
            self.reader, ADAPTER.validator, Note, max_records
        )
        self.reader.attach(self.subscription)
        self._maintaining: asyncio.Task[None] | None = None

    async def _handle(self, tx: Transaction, batch: Sequence[Received[Note]]) -> Results:
        return await self.handler(tx, batch)

    async def start(self) -> None:
        await self.broker.start()
        self._maintaining = asyncio.create_task(self._maintain())

    async def _maintain(self) -> None:
        stop = asyncio.Event()
        while True:
            await self.reader.maintain()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stop.wait(), 0.1)

    async def stop(self) -> None:
        if self._maintaining:
            self._maintaining.cancel()
        await self.broker.stop()
        await self.publisher.close()


@contextlib.asynccontextmanager
async def node(
    url: str, servers: str, names: tuple[str, str], max_records: int = 100
) -> AsyncIterator[Node]:
    """Run the service inside a test for a while."""
    async with open_pool(url) as pool:
        await migrate(pool, MIGRATIONS)
        await ensure_topics(servers, topics_named(*names), partitions=PARTITIONS, replication=1)
        collect_garbage_rarely()
        running = Node(pool, servers, names, max_records)
        await running.start()
        try:
            yield running
        finally:
            await running.stop()


async def wire(builder: ServiceBuilder) -> None:
    heard_on, *rest = topics_named(os.environ["ECHO_FROM"], os.environ.get("ECHO_TO", ""))
    say_on = rest[0] if os.environ.get("ECHO_TO") else None
    builder.read(heard_on, ADAPTER, partial(keep, say_on=say_on))


def main() -> None:
    names = (os.environ["ECHO_FROM"], os.environ.get("ECHO_TO", ""))
    name = os.environ.get("ECHO_NAME", "echo")
    run_service(ServiceSpec(name, MIGRATIONS, topics_named(*names), wire), ServiceSettings)


if __name__ == "__main__":
    main()
