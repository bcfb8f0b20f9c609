"""Fire what is due: bounded ticks, by a watermark that moves with the outbox."""

from collections.abc import Sequence
from datetime import datetime

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Outgoing
from libs.chassis.outages import Backoff, retry_later
from libs.chassis.postgres.pool import Pool, Transaction
from libs.contracts.timer_commands import TimerCommand
from services.scheduler.loops.clock_guard import ClockGuard
from services.scheduler.store import timers, watermarks
from services.scheduler.store.timers import DueTimer
from services.scheduler.store.watermarks import Watermark
from services.scheduler.use_cases.resume_commands import resume_command

_SWEEP_TICKS = 200
"""Every so many ticks idle watermarks move too, so that old days can be dropped."""


class FireTimers:
    """The tick. It fires in the partitions this process owns, and in no other."""

    def __init__(
        self, reader: Reader[TimerCommand], pool: Pool, clock: Clock, timers_per_tick: int
    ) -> None:
        self._reader = reader
        self._pool = pool
        self._clock = clock
        self._timers_per_tick = timers_per_tick
        self._steady = ClockGuard()
        self._backoff = Backoff()
        self._ticks = 0

    async def tick(self) -> None:
        """Fire what is due now, at most so many; an outage is waited out."""
        ticked = False
        with retry_later("tick.retried"):
            await self._tick()
            ticked = True
        if ticked:
            self._backoff.reset()
        else:
            await self._backoff.wait()

    async def _tick(self) -> None:
        real = await timers.database_time(self._pool)
        if not self._steady.agrees(real):
            return
        now = self._clock.from_real(real)
        self._ticks += 1
        sweeping = self._ticks % _SWEEP_TICKS == 1
        partitions = list(self._reader.armed)
        if not sweeping:
            partitions = await timers.partitions_due(self._pool, partitions, now)
        if partitions:
            await self._fire(partitions, now)

    async def _fire(self, partitions: Sequence[int], now: datetime) -> None:
        async def work(tx: Transaction, owned: Sequence[OwnedPartition]) -> list[Outgoing]:
            return await fire(tx, [one.partition for one in owned], now, self._timers_per_tick)

        await self._reader.turn(work, partitions)


async def fire(
    tx: Transaction, partitions: Sequence[int], now: datetime, at_most: int
) -> list[Outgoing]:
    """Move the watermarks of these partitions to `now` and wake what lies between.

    Every partition gets an equal share of `at_most`; a partition with more waits for the next tick.
    """
    share = max(1, at_most // len(partitions))
    marks = await watermarks.read(tx, partitions)
    found = await timers.due(tx, partitions, now, share)
    await watermarks.move(tx, _moved(marks, found, now, share))
    return [Outgoing(resume_command(one.timer), one.partition) for one in found]


def _moved(
    marks: dict[int, Watermark], found: Sequence[DueTimer], now: datetime, share: int
) -> dict[int, Watermark]:
    """Say where each watermark goes: to now, or to the last one fired if there may be more."""
    by_partition: dict[int, list[DueTimer]] = {}
    for one in found:
        by_partition.setdefault(one.partition, []).append(one)
    moved = {}
    for partition, mark in marks.items():
        fired = by_partition.get(partition, [])
        if len(fired) == share:
            moved[partition] = Watermark(fired[-1].timer.due_at, fired[-1].number)
        else:
            moved[partition] = Watermark(max(now, mark.fired_until))
    return moved
