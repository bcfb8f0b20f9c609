"""A million dates of contacts and one trigger: what they cost to keep, to release, and at rest.

PostgreSQL alone, through the real handlers and the real tick. One day's share of the dates is
released: a 365th of them, and then a day that all have in common. At rest a tick must not depend on
how many dates there are; it is compared with one over a thousand.

BENCH_DATES makes it smaller: `BENCH_DATES=100000` takes less than a minute.
"""

import asyncio
import os
import time
from datetime import UTC, date, datetime, timedelta
from uuid import UUID

from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, open_pool
from libs.local.postgres import Postgres
from tests.bench.ground import Ground
from tests.bench.report import Goal
from tests.support.dates import DateScheduler, date_flow, dates
from tests.support.timers import MIGRATIONS

DATES = int(os.environ.get("BENCH_DATES") or 1_000_000)
_PARTITIONS = 8
_PER_BATCH, _PER_TICK = 1000, 500
_IDLE_TICKS = 200
_FEW = 1000
_START = datetime(2026, 1, 1, tzinfo=UTC)
_DUE = datetime(2026, 3, 10, 9, tzinfo=UTC)
_DAY = timedelta(days=1)
_LARGEST_DATE = Goal(at_most=150)
_IDLE_GOAL = Goal(at_most=1.0)
_A_MILLION_IN_A_MINUTE = Goal(at_least=1_000_000 / 60)
_OTHERS_WAIT = Goal(at_most=100)


def bench_dates(ground: Ground) -> None:
    """Keeping dates, releasing a day of them, and the tick of a day on which nothing comes."""
    with ground.folder() as folder, ground.postgres(folder) as postgres:
        asyncio.run(_measure(ground, postgres))


async def _measure(ground: Ground, postgres: Postgres) -> None:
    name = f"bench_dates_{DATES}"
    postgres.add_database(name)
    async with open_pool(postgres.url(name)) as pool:
        await migrate(pool, MIGRATIONS)
        process = DateScheduler(pool, _START, range(_PARTITIONS), dates_per_tick=_PER_TICK)
        await process.define(date_flow(recurrence="annually"), at=_START)
        ground.report.add("dates kept", await _keep(process, _FEW), "dates/s")
        few = await _idle(process)
        ground.report.add("dates kept, in all", await _keep(process, DATES), "dates/s")
        await pool.execute("VACUUM ANALYZE contact_date")
        ground.report.add("a date with its index", await _size(pool), "bytes", _LARGEST_DATE)
        many = await _idle(process)
        ground.report.add(f"idle date tick, {_FEW:,} dates", few, "ms", _IDLE_GOAL)
        ground.report.add(f"idle date tick, {DATES:,} dates", many, "ms", _IDLE_GOAL)
        await _release(ground, process, "a day of a year", _DUE)
        await _keep_on_one_day(process)
        every = _DUE + 100 * _DAY
        await _release(ground, process, "a day all have", every, _A_MILLION_IN_A_MINUTE)


async def _keep(process: DateScheduler, count: int) -> float:
    began = time.perf_counter()
    for first in range(0, count, _PER_BATCH):
        await process.tell(
            *(
                dates(
                    UUID(int=1 + number),
                    set_at=_START,
                    partition=number % _PARTITIONS,
                    renewal=str(date(1990, 1, 1) + number % 365 * _DAY),
                )
                for number in range(first, min(first + _PER_BATCH, count))
            )
        )
    return count / (time.perf_counter() - began)


async def _keep_on_one_day(process: DateScheduler) -> None:
    """Move all dates to one day, which is not what is measured."""
    await process.pool.execute(
        "UPDATE contact_date SET key = $1, value = $2", 618, datetime(1990, 6, 18, tzinfo=UTC)
    )
    await process.pool.execute("VACUUM ANALYZE contact_date")


async def _size(pool: Pool) -> float:
    whole = await pool.fetchval("SELECT pg_total_relation_size('contact_date')")
    count = await pool.fetchval("SELECT count(*) FROM contact_date")
    return float(whole) / float(count)


async def _idle(process: DateScheduler) -> float:
    """Give what a tick costs, in milliseconds, with the look at the triggers of each second."""
    await process.tick(_DUE - _DAY)
    await process.drain()
    began = time.perf_counter()
    for number in range(_IDLE_TICKS):
        await process.tick(_DUE - _DAY + timedelta(seconds=number))
    return 1000 * (time.perf_counter() - began) / _IDLE_TICKS


async def _release(
    ground: Ground, process: DateScheduler, what: str, at: datetime, goal: Goal | None = None
) -> None:
    await process.drain(at - timedelta(hours=1))
    began = time.perf_counter()
    longest, count = 0.0, 0
    process.hand.at = at
    while True:
        tick_began = time.perf_counter()
        released = len(await process.tick())
        longest = max(longest, time.perf_counter() - tick_began)
        process.reader.fired.clear()  # a scheduler keeps nothing of it either
        if not released:
            break
        count += released
    seconds = time.perf_counter() - began
    ground.report.add(f"dates released, {what}", count / seconds, "dates/s", goal)
    ground.report.add(f"dates released, {what}", count, "dates")
    ground.report.add(f"longest tick, {what}", 1000 * longest, "ms", _OTHERS_WAIT)
