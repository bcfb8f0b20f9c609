"""The days of the timer table: indexed before they are reached, dropped when they have passed."""

import asyncio
from datetime import UTC, datetime

import asyncpg
import pytest

from libs.chassis.clock import Clock
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, open_pool, transaction
from services.scheduler.loops.fire_timers import fire
from tests.support.timers import (
    DAY,
    MIGRATIONS,
    SECOND,
    Scheduler,
    clock_showing,
    timer,
    two_schedulers,
)
from tests.support.waiting import eventually

OPENING_READS = 2
"""How often a day is read when it is opened, still empty: for its index, and for its bounds."""


@pytest.fixture
async def scheduler(pool: Pool) -> Pool:
    await migrate(pool, MIGRATIONS)
    return pool


def table(ahead: int = 0) -> str:
    return f"timer_{datetime.now(UTC) + ahead * DAY:%Y%m%d}"


async def indexes(pool: Pool) -> dict[str, list[bool]]:
    """Give every day's table, and of its indexes whether each is valid."""
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name,"
        " array(SELECT indisvalid FROM pg_index WHERE indrelid = inhrelid) AS valid"
        " FROM pg_inherits WHERE inhparent = 'timer'::regclass"
    )
    return {row["name"]: row["valid"] for row in rows}


async def days_opened_long_ago(pool: Pool, *ahead: int) -> None:
    """Open days as a scheduler did when they were far: without an index."""
    early = Scheduler(pool, clock_showing(-30 * DAY))
    now = datetime.now(UTC)
    await early.keep(*(timer(now + days * DAY, number) for number, days in enumerate(ahead, 1)))


async def test_near_days_open_with_an_index_and_far_ones_get_it_in_time(scheduler: Pool) -> None:
    process, now = Scheduler(scheduler, Clock()), datetime.now(UTC)
    await process.keep(*(timer(now + days * DAY, days) for days in (0, 1, 20)))
    assert await indexes(scheduler) == {table(): [True], table(1): [True], table(20): []}
    later = Scheduler(scheduler, clock_showing(19 * DAY))
    await later.manage()
    assert (await indexes(scheduler))[table(20)] == [True]


async def test_a_fast_clock_opens_the_days_it_will_soon_reach_with_an_index(
    scheduler: Pool,
) -> None:
    clock = Clock(86_400.0, datetime.now(UTC))
    await Scheduler(scheduler, clock).keep(timer(clock.now() + 40 * DAY))
    assert list((await indexes(scheduler)).values()) == [[True]]


async def test_days_go_when_every_partition_has_passed_them(scheduler: Pool) -> None:
    process, now = Scheduler(scheduler, Clock()), datetime.now(UTC)
    await process.keep(*(timer(now + days * DAY) for days in (-5, -4, 1)))
    async with transaction(scheduler) as tx:
        await fire(tx, [0], now - 2 * DAY, 100)
    await process.manage(partitions=2)
    assert len(await indexes(scheduler)) == 3, "another partition has not passed those days"
    await process.manage(partitions=1)
    assert list(await indexes(scheduler)) == [table(1)]


async def test_b5_two_schedulers_build_each_index_once_and_drop_each_day_once(
    scheduler: Pool, database: str
) -> None:
    now = datetime.now(UTC)
    await days_opened_long_ago(scheduler, -3, -2, 0, 1)
    async with two_schedulers(database, Clock()) as (one, other):
        for _ in range(5):
            await asyncio.gather(
                *(process.manage() for process in (one, other, one, other)),
                *(
                    process.keep(*(timer(now + (hour / 24 + 0.01) * DAY) for hour in range(24)))
                    for process in (one, other)
                ),
            )
        assert all(valid == [True] for valid in (await indexes(scheduler)).values())
        async with transaction(scheduler) as tx:
            await fire(tx, [0], now - DAY, 1000)
        await asyncio.gather(*(process.manage() for process in (one, other, one, other)))
    assert table(-3) not in await indexes(scheduler)
    assert table(-2) not in await indexes(scheduler)


async def test_b5_no_day_is_read_from_end_to_end(scheduler: Pool, database: str) -> None:
    async def scans() -> int:
        seen: int = await scheduler.fetchval(
            "SELECT coalesce(sum(seq_scan), 0)::int FROM pg_stat_user_tables"
            " WHERE relname LIKE 'timer\\_2%'"
        )
        return seen

    async def ticks(process: Scheduler, partition: int) -> None:
        now = datetime.now(UTC)
        for number in range(100):
            soon = timer(datetime.now(UTC) + SECOND / 20, number, partition)
            await process.keep(soon, timer(now + DAY, number, partition))
            await process.tick()

    async with two_schedulers(database, Clock()) as (one, other):
        await asyncio.gather(one.keep(timer(datetime.now(UTC) + DAY)), one.manage(), other.manage())
        await asyncio.gather(ticks(one, 0), ticks(other, 1))
        fired = len(one.reader.fired) + len(other.reader.fired)
        assert fired > 100
    # Backends say what they did when they end.
    await eventually(lambda: _counted(scheduler), "the statistics are in")
    opened = len(await indexes(scheduler))
    assert await scans() <= OPENING_READS * opened, "only while the days were opened, empty"


async def _counted(pool: Pool) -> bool:
    inserted: int = await pool.fetchval(
        "SELECT coalesce(sum(n_tup_ins), 0)::int FROM pg_stat_user_tables"
        " WHERE relname LIKE 'timer\\_2%'"
    )
    return inserted >= 400


async def test_b5_a_day_reached_without_an_index_waits_for_it(scheduler: Pool) -> None:
    await days_opened_long_ago(scheduler, -1, 0)
    process = Scheduler(scheduler, Clock())
    await process.days.refresh(scheduler)
    assert process.days.indexed_until.date() == (datetime.now(UTC) - DAY).date()
    assert await process.tick() == []
    await process.manage()
    assert await process.tick() == [1, 2]


async def test_b5_building_an_index_stops_no_writer(scheduler: Pool, database: str) -> None:
    await days_opened_long_ago(scheduler, 1)
    process = Scheduler(scheduler, Clock())
    async with open_pool(database) as other, transaction(other) as writer:
        await writer.execute(f"LOCK TABLE {table(1)} IN ROW EXCLUSIVE MODE")
        building = asyncio.create_task(process.manage())

        async def waits() -> bool:
            asked = "SELECT count(*) FROM pg_stat_progress_create_index WHERE phase LIKE 'waiting%'"
            return bool(await scheduler.fetchval(asked))

        await eventually(waits, "the builder waits for the writer")
        await Scheduler(scheduler, Clock()).keep(timer(datetime.now(UTC) + DAY, 2))
        assert not building.done()
    await building
    assert (await indexes(scheduler))[table(1)] == [True]


async def dying_builder(pool: Pool, statement: str) -> None:
    async with pool.acquire() as connection:
        await connection.execute("SET statement_timeout = 200")
        await connection.execute(statement)


async def test_b5_what_a_builder_that_died_left_is_built_anew(
    scheduler: Pool, database: str
) -> None:
    await days_opened_long_ago(scheduler, 1)
    async with open_pool(database) as other, transaction(other) as writer:
        await writer.execute(f"LOCK TABLE {table(1)} IN ROW EXCLUSIVE MODE")
        build = (
            f"CREATE INDEX CONCURRENTLY {table(1)}_due ON {table(1)} (partition, due_at, number)"
        )
        with pytest.raises(asyncpg.QueryCanceledError):
            await dying_builder(scheduler, build)
    assert (await indexes(scheduler))[table(1)] == [False]
    await Scheduler(scheduler, Clock()).manage()
    assert (await indexes(scheduler))[table(1)] == [True]
