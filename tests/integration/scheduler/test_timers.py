"""Timers on real Postgres: fired once, in order, never early, a bounded number at a time."""

from collections.abc import Sequence
from datetime import UTC, datetime

import pytest

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.step_commands import ADAPTER
from libs.contracts.timer_commands import SetTimer
from services.scheduler.loops.fire_timers import fire
from tests.support.builders import NOW
from tests.support.timers import DAY, MIGRATIONS, SECOND, Scheduler, hops, timer


@pytest.fixture
async def scheduler(pool: Pool) -> Pool:
    await migrate(pool, MIGRATIONS)
    return pool


async def keep(pool: Pool, *timers: Received[SetTimer]) -> list[Outgoing]:
    return await Scheduler(pool, Clock()).keep(*timers)


async def tick(
    pool: Pool, now: datetime, partitions: Sequence[int] = (0,), share: int = 1000
) -> list[int]:
    async with transaction(pool) as tx:
        return hops(await fire(tx, partitions, now, share))


async def test_timers_fire_once_in_order_and_never_early(scheduler: Pool) -> None:
    later = [timer(NOW + SECOND * number, number) for number in (3, 1, 2, 90_000)]
    assert await keep(scheduler, *later) == []
    assert await tick(scheduler, NOW) == []
    assert await tick(scheduler, NOW + 2 * SECOND) == [1, 2]
    assert await tick(scheduler, NOW + 2 * SECOND) == []
    assert await tick(scheduler, NOW + 2 * DAY) == [3, 90_000]


async def test_what_fires_says_whom_to_wake(scheduler: Pool) -> None:
    set_timer = timer(NOW, 7, partition=3)
    await keep(scheduler, set_timer)
    async with transaction(scheduler) as tx:
        (fired,) = await fire(tx, [3], NOW, 10)
    assert fired.caused_by == 3
    resume, command = ADAPTER.validate_json(fired.message.body()), set_timer.message
    shared = {"workspace_id", "contact_id", "membership_id", "hop", "due_at"}
    assert resume.model_dump(include=shared) == command.model_dump(include=shared)


async def test_a_timer_behind_the_watermark_fires_when_it_arrives(scheduler: Pool) -> None:
    await keep(scheduler, timer(NOW))
    await tick(scheduler, NOW + SECOND)
    late = await keep(scheduler, timer(NOW, 2), timer(NOW + SECOND, 3), timer(NOW + 2 * SECOND, 4))
    assert hops(late) == [2, 3]
    assert await tick(scheduler, NOW + 2 * SECOND) == [4]


async def test_a_tick_is_bounded_and_shares_fairly(scheduler: Pool) -> None:
    many = [timer(NOW, number, partition=0) for number in range(1, 8)]
    await keep(scheduler, *many, timer(NOW, 100, partition=1))
    assert await tick(scheduler, NOW, (0, 1), share=3) == [1, 2, 3, 100]
    # Cut short in the middle of one instant: a new timer of that instant is not passed over.
    assert await keep(scheduler, timer(NOW, 8, partition=0)) == []
    assert await tick(scheduler, NOW, (0, 1), share=3) == [4, 5, 6]
    assert await tick(scheduler, NOW, (0, 1), share=3) == [7, 8]


async def test_a_watermark_never_goes_back(scheduler: Pool) -> None:
    await keep(scheduler, timer(NOW))
    assert await tick(scheduler, NOW) == [1]
    assert await tick(scheduler, NOW - DAY) == []
    assert await tick(scheduler, NOW + DAY) == []


async def test_an_idle_tick_asks_for_nothing_until_something_is_due(scheduler: Pool) -> None:
    process = Scheduler(scheduler, Clock(), [0, 1])
    await process.manage()
    assert await process.tick() == []
    turns = process.reader.turns
    await process.keep(timer(datetime.now(UTC) + DAY, 1))
    for _ in range(20):
        assert await process.tick() == []
    assert process.reader.turns == turns
    # A timer that is already due, and a partition that was away, are looked at again.
    assert hops(await process.keep(timer(NOW - 365 * DAY, 2))) == [2]
    await process.keep(timer(datetime.now(UTC), 3))
    assert await process.tick() == [3]
    process.reader.armed[1] = OwnedPartition(1, 0, epoch=2)
    turns = process.reader.turns
    await process.tick()
    await process.tick()
    assert process.reader.turns == turns + 1
