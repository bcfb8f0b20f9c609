"""A service made of the chassis that keeps every activity and says it on, exactly once.

`python -m tests.bench.echo_loop`, with BENCH_NAME, BENCH_FROM, BENCH_TO and the chassis's own
variables.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.chassis.process.run import ServiceBuilder, ServiceSpec, run_service
from libs.chassis.process.settings import ServiceSettings
from libs.contracts.topics import Topic, dead_letters_of
from tests.bench.activity import ADAPTER, Activity, keep

MIGRATIONS = Path(__file__).parent / "echo_migrations"


@dataclass(frozen=True, slots=True)
class Echo:
    """An activity said on."""

    activity: Activity
    topic: Topic

    @property
    def key(self) -> str:
        return self.activity.contact_id

    @property
    def to_partition(self) -> int | None:
        return None

    def body(self) -> bytes:
        return self.activity.said_on()


async def say_on(
    tx: Transaction, batch: Sequence[Received[Activity]], *, topic: Topic
) -> list[Outgoing]:
    await keep(tx, [received.message for received in batch])
    return [received.causes(Echo(received.message, topic)) for received in batch]


async def wire(builder: ServiceBuilder) -> None:
    heard, said = Topic(os.environ["BENCH_FROM"]), Topic(os.environ["BENCH_TO"])
    builder.read(heard, ADAPTER, partial(say_on, topic=said))


def main() -> None:
    heard, said = Topic(os.environ["BENCH_FROM"]), Topic(os.environ["BENCH_TO"])
    topics = (heard, said, dead_letters_of(heard))
    run_service(ServiceSpec(os.environ["BENCH_NAME"], MIGRATIONS, topics, wire), ServiceSettings)


if __name__ == "__main__":
    main()
