"""Fire what is due: bounded ticks, by a watermark that moves with the outbox."""

import time
from collections import defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Outgoing
from libs.chassis.outages import Backoff
from libs.chassis.postgres.pool import Transaction
from libs.contracts.timer_commands import TimerCommand
from services.scheduler.loops.database_clock import DatabaseClock
from services.scheduler.store import timers, watermarks
from services.scheduler.store.days import OpenDays
from services.scheduler.store.timers import Timer
from services.scheduler.store.watermarks import Watermark
from services.scheduler.use_cases.next_due import NextDue
from services.scheduler.use_cases.resume_commands import resume_command

_SWEEP_SECONDS = 10.0
"""Every so often idle watermarks move too, so that days that have passed can be dropped."""
_INSTANT = timedelta(microseconds=1)


class FireTimers:
    """The tick. It fires in the partitions this process owns, and in no other."""

    def __init__(
        self,
        reader: Reader[TimerCommand],
        database_clock: DatabaseClock,
        clock: Clock,
        days: OpenDays,
        next_due: NextDue,
        timers_per_tick: int,
    ) -> None:
        self._reader = reader
        self._database_clock = database_clock
        self._clock = clock
        self._days = days
        self._next_due = next_due
        self._timers_per_tick = timers_per_tick
        self._backoff = Backoff()
        self._swept = float("-inf")

    async def tick(self) -> None:
        """Fire what is due now, at most so many; an outage is waited out."""
        await self._backoff.attempt("tick.retried", self._tick)

    async def _tick(self) -> None:
        real = await self._database_clock.now()
        if real is None:
            return
        until = min(self._clock.from_real(real), self._days.indexed_until)
        sweeping = time.monotonic() - self._swept > _SWEEP_SECONDS
        owned = self._reader.armed
        partitions = list(owned) if sweeping else self._next_due.may_be_due(owned, until)
        if partitions:
            await self._fire(partitions, until)
        if sweeping:
            self._swept = time.monotonic()

    async def _fire(self, partitions: Sequence[int], until: datetime) -> None:
        async def work(tx: Transaction, owned: Sequence[OwnedPartition]) -> list[Outgoing]:
            share = max(1, self._timers_per_tick // len(owned))
            fired = await fire(tx, [one.partition for one in owned], until, share)
            await self._look_ahead(tx, owned, until)
            return fired

        done = False
        try:
            done = await self._reader.run_as_owner(work, partitions)
        finally:
            if not done:
                self._next_due.forget(partitions)

    async def _look_ahead(
        self, tx: Transaction, owned: Sequence[OwnedPartition], until: datetime
    ) -> None:
        """Note when to come back to each partition: at its next timer, or with more days known."""
        horizon = max(until, self._days.indexed_until - _INSTANT)
        coming = await timers.upcoming(tx, [one.partition for one in owned], horizon)
        for one in owned:
            self._next_due.looked(one, coming.get(one.partition, horizon + _INSTANT))


async def fire(
    tx: Transaction, partitions: Sequence[int], until: datetime, share: int
) -> list[Outgoing]:
    """Move the watermarks of these partitions to `until` and wake what lies between.

    Of each partition at most `share`; what is more waits for the next tick.
    """
    found = await timers.due(tx, partitions, until, share)
    await watermarks.move(tx, _moved(partitions, found, until, share))
    return [Outgoing(resume_command(timer), timer.partition) for timer in found]


def _moved(
    partitions: Sequence[int], found: Sequence[Timer], until: datetime, share: int
) -> dict[int, Watermark]:
    """Say where each watermark goes: to the end, or to the last one fired if there may be more."""
    moved = dict.fromkeys(partitions, Watermark(until))
    by_partition: defaultdict[int, list[Timer]] = defaultdict(list)
    for timer in found:
        by_partition[timer.partition].append(timer)
    for partition, fired in by_partition.items():
        if len(fired) == share:
            moved[partition] = Watermark(fired[-1].due_at, fired[-1].number)
    return moved
