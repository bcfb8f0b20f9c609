"""Timers on real Postgres: kept by day, fired once and in order, dropped by day."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from uuid import UUID, uuid4

import pytest

import services.scheduler
from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.step_commands import Resume, RetryDelivery
from libs.contracts.timer_commands import Purpose, SetTimer
from services.scheduler.handlers.timer_commands import handle_batch
from services.scheduler.loops.fire_timers import fire
from services.scheduler.loops.manage_partitions import manage_partitions
from services.scheduler.store.timers import partitions_due
from tests.support.builders import CONTACT, NOW, WORKSPACE

MIGRATIONS = Path(services.scheduler.__file__).parent / "migrations"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


@pytest.fixture
async def scheduler(pool: Pool) -> Pool:
    await migrate(pool, MIGRATIONS)
    return pool


def timer(
    due_at: datetime, hop: int = 1, partition: int = 0, purpose: Purpose = "resume"
) -> Received[SetTimer]:
    command = SetTimer(
        id=uuid4(),
        time=NOW,
        workspace_id=WORKSPACE,
        contact_id=CONTACT,
        membership_id=UUID(int=hop),
        hop=hop,
        due_at=due_at,
        purpose=purpose,
    )
    return Received(command, partition)


async def keep(pool: Pool, *timers: Received[SetTimer]) -> list[Outgoing]:
    async with transaction(pool) as tx:
        return await handle_batch(tx, timers)


async def tick(
    pool: Pool, now: datetime, partitions: Sequence[int] = (0,), at_most: int = 1000
) -> list[int]:
    async with transaction(pool) as tx:
        fired = await fire(tx, partitions, now, at_most)
    commands = [one.message for one in fired]
    assert all(isinstance(one, Resume | RetryDelivery) for one in commands)
    return [one.hop for one in commands if isinstance(one, Resume | RetryDelivery)]


async def test_timers_fire_once_in_order_and_never_early(scheduler: Pool) -> None:
    later = [timer(NOW + SECOND * number, number) for number in (3, 1, 2, 90_000)]
    assert await keep(scheduler, *later) == []
    assert await tick(scheduler, NOW) == []
    assert await tick(scheduler, NOW + 2 * SECOND) == [1, 2]
    assert await tick(scheduler, NOW + 2 * SECOND) == []
    assert await tick(scheduler, NOW + 2 * DAY) == [3, 90_000]


async def test_a_timer_behind_the_watermark_fires_when_it_arrives(scheduler: Pool) -> None:
    await keep(scheduler, timer(NOW))
    await tick(scheduler, NOW + SECOND)
    late = await keep(scheduler, timer(NOW, 2), timer(NOW + SECOND, 3), timer(NOW + 2 * SECOND, 4))
    assert [one.message.hop for one in late if isinstance(one.message, Resume)] == [2, 3]
    assert await tick(scheduler, NOW + 2 * SECOND) == [4]


async def test_a_tick_is_bounded_and_shares_fairly(scheduler: Pool) -> None:
    many = [timer(NOW, number, partition=0) for number in range(1, 8)]
    await keep(scheduler, *many, timer(NOW, 100, partition=1))
    assert await partitions_due(scheduler, [0, 1, 2], NOW) == [0, 1]
    assert await tick(scheduler, NOW, (0, 1), at_most=6) == [1, 2, 3, 100]
    # Cut short in the middle of one instant: a new timer of that instant is not passed over.
    assert await keep(scheduler, timer(NOW, 8, partition=0)) == []
    assert await tick(scheduler, NOW, (0, 1), at_most=6) == [4, 5, 6]
    assert await tick(scheduler, NOW, (0, 1), at_most=6) == [7, 8]


async def test_retries_of_deliveries_are_their_own_kind(scheduler: Pool) -> None:
    await keep(scheduler, timer(NOW, purpose="retry_delivery"))
    async with transaction(scheduler) as tx:
        (fired,) = await fire(tx, [0], NOW, 10)
    assert isinstance(fired.message, RetryDelivery)
    assert fired.caused_by == 0


async def test_days_are_indexed_when_near_and_dropped_when_passed(scheduler: Pool) -> None:
    days = [NOW, NOW + DAY, NOW + 5 * DAY]
    await keep(scheduler, *(timer(due, number) for number, due in enumerate(days)))
    clock = Clock(1.0)
    near = clock.now()
    await keep(scheduler, timer(near, 9))

    async def indexed() -> list[bool]:
        rows = await scheduler.fetch("SELECT indexed FROM timer_day ORDER BY day")
        return [row["indexed"] for row in rows]

    assert await indexed() == [False] * 4
    await manage_partitions(scheduler, clock, 1)
    assert await indexed() == [True] * 4
    await tick(scheduler, NOW + 4 * DAY)
    await manage_partitions(scheduler, clock, 2)
    assert len(await indexed()) == 4, "another partition has not passed those days"
    await manage_partitions(scheduler, clock, 1)
    assert len(await indexed()) == 2
    assert await tick(scheduler, near) == [2, 9]
