"""`make bench`: how fast it is on this machine. One line each: name, value, unit.

Everything runs on real Kafka and real Postgres, which share the machine with what is measured.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from functools import partial
from pathlib import Path
from uuid import UUID, uuid4

import services.scheduler
from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.chassis.telemetry.logs import configure_logs
from libs.contracts.timer_commands import SetTimer
from libs.domain.step_result import DeliveryFinished, Entered
from libs.domain.walk import walk
from libs.local.kafka import Kafka
from libs.local.outside import Outside
from libs.local.postgres import Postgres
from libs.local.stack import Stack, running
from services.scheduler.handlers.timer_commands import handle_batch
from services.scheduler.loops.fire_timers import fire
from tests.support.brokers import PARTITIONS, broker_for_tests
from tests.support.builders import CONTACT, NOW, WORKSPACE, a_flow, a_membership, snapshot
from tests.support.echo_service import node
from tests.support.log_reading import note, write
from tests.support.scenes import Scene
from tests.support.waiting import eventually, wait_until

ECHOES = 40_000
TIMERS = 100_000
JOURNEYS = 2_000
WALKS = 20_000


def say(name: str, value: float, unit: str) -> None:
    sys.stdout.write(f"{name:<34} {value:>12,.0f} {unit}\n")
    sys.stdout.flush()


def bench_walk() -> None:
    """The engine alone: entering the welcome series and going on to its wait."""
    flow, member, known = a_flow(), a_membership(), snapshot()
    began = time.perf_counter()
    for _ in range(WALKS):
        entered = walk(flow, member, known, Entered(), NOW)
        walk(flow, entered.membership, known, DeliveryFinished(outcome="sent"), NOW)
    say("walk", 2 * WALKS / (time.perf_counter() - began), "walks/s")


async def bench_batches(kafka: Kafka, postgres: Postgres) -> None:
    """The bare exactly-once loop: read, one insert per record, say on, one process."""
    postgres.add_database("bench_echo")
    tag = uuid4().hex[:8]
    names = (f"bench.in.{tag}", f"bench.out.{tag}")
    servers = kafka.bootstrap_servers
    async with node(postgres.url("bench_echo"), servers, names) as echo:
        await eventually(lambda: len(echo.reader.armed) > 0, "the partitions")
        records = [note(f"person {number % 997}", number) for number in range(ECHOES)]
        began = time.perf_counter()
        await asyncio.to_thread(write, servers, names[0], records)
        await eventually(partial(_heard, echo.pool, ECHOES), "every record", 300)
        say("exactly-once echo", ECHOES / (time.perf_counter() - began), "records/s")


async def _heard(pool: Pool, count: int) -> bool:
    heard: int = await pool.fetchval("SELECT count(*) FROM heard")
    return heard >= count


def _timers(first: int, count: int) -> list[Received[SetTimer]]:
    return [
        Received(
            SetTimer(
                id=UUID(int=number),
                time=NOW,
                workspace_id=WORKSPACE,
                contact_id=CONTACT,
                membership_id=UUID(int=number),
                hop=1,
                due_at=NOW + timedelta(days=30, milliseconds=number),
            ),
            number % PARTITIONS,
        )
        for number in range(first, first + count)
    ]


async def bench_timers(postgres: Postgres) -> None:
    """Keeping timers that are due in a month, and firing them, through the real handlers."""
    postgres.add_database("bench_timers")
    async with open_pool(postgres.url("bench_timers")) as pool:
        await migrate(pool, Path(services.scheduler.__file__).parent / "migrations")
        batches = [_timers(first, 1000) for first in range(0, TIMERS, 1000)]
        began = time.perf_counter()
        for batch in batches:
            async with transaction(pool) as tx:
                await handle_batch(tx, batch)
        say("timers kept", TIMERS / (time.perf_counter() - began), "timers/s")
        await pool.execute("SELECT index_timer_days('2026-12-31')")
        began = time.perf_counter()
        fired = 0
        while fired < TIMERS:
            async with transaction(pool) as tx:
                fired += len(await fire(tx, range(PARTITIONS), NOW + timedelta(days=60), 5000))
        say("timers fired", TIMERS / (time.perf_counter() - began), "timers/s")


def bench_journeys(kafka: Kafka, folder: Path) -> None:
    """All four services: two events per contact, an enrollment, a mail over SMTP, the end."""
    with running(Stack(folder, kafka=kafka, partitions=PARTITIONS)) as stack, Outside(stack) as out:
        scene = Scene(out).activate()
        began = time.perf_counter()
        for number in range(JOURNEYS):
            scene.enter(number)
        out.flush()
        done = partial(_completed, scene, JOURNEYS)
        wait_until(done, "every journey to end", 600)
        say("journeys with a mail", JOURNEYS / (time.perf_counter() - began), "journeys/s")


def _completed(scene: Scene, count: int) -> bool:
    return bool(scene.details()["completed_count"] == count)


@asynccontextmanager
async def _servers(folder: Path) -> AsyncIterator[tuple[Kafka, Postgres]]:
    kafka, postgres = broker_for_tests(folder), Postgres(folder / "bench" / "data")
    await asyncio.to_thread(postgres.start)
    await asyncio.to_thread(kafka.start)
    sys.stdout.write(f"{kafka.version}, {postgres.version}\n")
    try:
        yield kafka, postgres
    finally:
        kafka.stop()
        postgres.stop("immediate")


async def measure(folder: Path) -> None:
    async with _servers(folder) as (kafka, postgres):
        bench_walk()
        await bench_batches(kafka, postgres)
        await bench_timers(postgres)
        await asyncio.to_thread(bench_journeys, kafka, folder / "stack")


def main() -> None:
    configure_logs("bench", "console", "critical")
    with tempfile.TemporaryDirectory() as name:
        asyncio.run(measure(Path(name)))


if __name__ == "__main__":
    main()
