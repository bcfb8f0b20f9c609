"""A scheduler's parts on a database, and timers for them."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, cast
from uuid import UUID, uuid4

import services.scheduler
from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Pool, Transaction, open_pool, transaction
from libs.contracts.step_commands import Resume
from libs.contracts.timer_commands import SetTimer
from services.scheduler.handlers.timer_commands import handle_batch
from services.scheduler.loops.database_clock import DatabaseClock
from services.scheduler.loops.fire_timers import FireTimers
from services.scheduler.loops.manage_days import manage_days
from services.scheduler.store.date_triggers import CurrentSchedule
from services.scheduler.store.days import OpenDays
from services.scheduler.use_cases.next_due import NextDue
from tests.support.builders import CONTACT, NOW, WORKSPACE

MIGRATIONS = Path(services.scheduler.__file__).parent / "migrations"
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def timer(due_at: datetime, hop: int = 1, partition: int = 0) -> Received[SetTimer]:
    command = SetTimer(
        id=uuid4(),
        time=NOW,
        workspace_id=WORKSPACE,
        contact_id=CONTACT,
        membership_id=UUID(int=hop),
        hop=hop,
        due_at=due_at,
    )
    return Received(command, partition)


def hops(commands: Iterable[Outgoing]) -> list[int]:
    messages = [one.message for one in commands]
    assert all(isinstance(message, Resume) for message in messages)
    return [cast("Resume", message).hop for message in messages]


def clock_showing(ahead: timedelta, speed: float = 2.0) -> Clock:
    """Give a clock that shows what the real one will show then, and runs on from there."""
    return Clock(speed, datetime.now(UTC) - ahead / (speed - 1))


class Killed(Exception):  # noqa: N818  (what happened, not a fault)
    """The process is gone."""


@dataclass
class PretendReader:
    """A reader that owns its partitions and publishes nothing.

    With `dies` set, its process ends when the work is done, before the commit.
    """

    pool: Pool
    armed: dict[int, OwnedPartition]
    fired: list[Outgoing] = field(default_factory=list)
    turns: int = 0
    dies: bool = False

    async def run_as_owner(
        self,
        work: Callable[[Transaction, Sequence[OwnedPartition]], Awaitable[Sequence[Outgoing]]],
        partitions: Iterable[int],
    ) -> bool:
        self.turns += 1
        async with transaction(self.pool) as tx:
            fired = await work(tx, [self.armed[one] for one in sorted(partitions)])
            if self.dies:
                raise Killed
        self.fired += fired
        return True


class Scheduler:
    """One process, as far as the database sees it."""

    def __init__(self, pool: Pool, clock: Clock, partitions: Sequence[int] = (0,)) -> None:
        self.pool = pool
        self.clock = clock
        self.days, self.next_due, self.schedule = OpenDays(clock), NextDue(), CurrentSchedule()
        self.reader = PretendReader(pool, {one: OwnedPartition(one, 0, 1) for one in partitions})
        reader = cast("Reader[Any]", self.reader)
        database_clock = DatabaseClock(pool)
        self.firing = FireTimers(reader, database_clock, clock, self.days, self.next_due, 1000)

    async def keep(self, *commands: Received[Any]) -> list[Outgoing]:
        async with transaction(self.pool) as tx:
            return await handle_batch(
                tx,
                commands,
                days=self.days,
                next_due=self.next_due,
                schedule=self.schedule,
                clock=self.clock,
            )

    async def manage(self, partitions: int = 1) -> None:
        await manage_days(self.pool, self.days, partitions)

    async def tick(self) -> list[int]:
        """Tick once; give what fired."""
        before = len(self.reader.fired)
        await self.firing.tick()
        return hops(self.reader.fired[before:])


@asynccontextmanager
async def two_schedulers(url: str, clock: Clock) -> AsyncIterator[tuple[Scheduler, Scheduler]]:
    async with open_pool(url) as one, open_pool(url) as other:
        yield Scheduler(one, clock, [0]), Scheduler(other, clock, [1])
        await asyncio.gather(one.close(), other.close())
