"""The engine and the timers by themselves, without Kafka and without processes."""

import asyncio
import time
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import services.scheduler
from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from libs.contracts.timer_commands import SetTimer
from libs.domain.walk import walk
from libs.domain.walk_events import DeliveryFinished, Entered
from services.scheduler.loops.fire_timers import fire
from tests.bench.ground import Ground
from tests.support.builders import CONTACT, NOW, WORKSPACE, a_flow, a_membership, snapshot
from tests.support.timers import Scheduler

WALKS = 20_000
TIMERS = 100_000
_SHARDS = 4
_PER_BATCH, _PER_TICK = 1000, 5000


def bench_walk(ground: Ground) -> None:
    """Entering the welcome series and going on to its wait."""
    flow, member, known = a_flow(), a_membership(), snapshot()
    began = time.perf_counter()
    for _ in range(WALKS):
        entered = walk(flow, member, known, Entered(), NOW)
        walk(flow, entered.membership, known, DeliveryFinished(outcome="sent"), NOW)
    ground.report.add("walk", 2 * WALKS / (time.perf_counter() - began), "walks/s")


def bench_timers(ground: Ground) -> None:
    """Keeping timers that are due in a month, and firing them, through the real handlers."""
    with ground.folder() as folder, ground.postgres(folder) as postgres:
        postgres.add_database("bench_timers")
        kept, fired = asyncio.run(_timers_a_second(postgres.url("bench_timers")))
    ground.report.add("timers kept", kept, "timers/s")
    ground.report.add("timers fired", fired, "timers/s")


async def _timers_a_second(url: str) -> tuple[float, float]:
    async with open_pool(url) as pool:
        await migrate(pool, Path(services.scheduler.__file__).parent / "migrations")
        scheduler = Scheduler(pool, Clock())
        kept = await _keep(scheduler)
        return kept, await _fire(pool)


async def _keep(scheduler: Scheduler) -> float:
    batches = [_timers(first, _PER_BATCH) for first in range(0, TIMERS, _PER_BATCH)]
    began = time.perf_counter()
    for batch in batches:
        await scheduler.keep(*batch)
    return TIMERS / (time.perf_counter() - began)


async def _fire(pool: Pool) -> float:
    fired, began = 0, time.perf_counter()
    while fired < TIMERS:
        async with transaction(pool) as tx:
            fired += len(await fire(tx, range(_SHARDS), NOW + timedelta(days=60), _PER_TICK))
    return TIMERS / (time.perf_counter() - began)


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
            number % _SHARDS,
        )
        for number in range(first, first + count)
    ]
