"""Fire what is due: bounded ticks, by a watermark that moves with the outbox."""

from collections.abc import Sequence
from datetime import datetime

from libs.chassis.batches import Reader
from libs.chassis.clock import Clock
from libs.chassis.outages import Backoff, putting_off
from libs.chassis.positions import Armed
from libs.chassis.postgres import Pool, Transaction
from libs.chassis.records import Outgoing
from libs.contracts.timer_commands import TimerCommand
from services.scheduler.loops.steady_time import SteadyTime
from services.scheduler.store import timers, watermarks
from services.scheduler.store.timers import DueTimer
from services.scheduler.store.watermarks import Watermark
from services.scheduler.use_cases.wake_up import wake_up

_SWEEP_TICKS = 200
"""Every so many ticks the watermarks of idle shards move too, so that old days can be dropped."""


class FireTimers:
    """The tick. It fires in the shards this process owns, and in no other."""

    def __init__(
        self, reader: Reader[TimerCommand], pool: Pool, clock: Clock, timers_per_tick: int
    ) -> None:
        self._reader = reader
        self._pool = pool
        self._clock = clock
        self._timers_per_tick = timers_per_tick
        self._steady = SteadyTime()
        self._backoff = Backoff()
        self._ticks = 0

    async def tick(self) -> None:
        """Fire what is due now, at most so many; an outage is waited out."""
        ticked = False
        with putting_off("tick.put_off"):
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
        shards = list(self._reader.armed)
        if not sweeping:
            shards = await timers.shards_due(self._pool, shards, now)
        if shards:
            await self._fire(shards, now)

    async def _fire(self, shards: Sequence[int], now: datetime) -> None:
        async def work(tx: Transaction, owned: Sequence[Armed]) -> list[Outgoing]:
            return await fire(tx, [one.partition for one in owned], now, self._timers_per_tick)

        await self._reader.turn(work, shards)


async def fire(
    tx: Transaction, shards: Sequence[int], now: datetime, at_most: int
) -> list[Outgoing]:
    """Move the watermarks of these shards to `now` and wake what lies between.

    Every shard gets an equal share of `at_most`; a shard with more waits for the next tick.
    """
    share = max(1, at_most // len(shards))
    marks = await watermarks.read(tx, shards)
    found = await timers.due(tx, shards, now, share)
    await watermarks.move(tx, _moved(marks, found, now, share))
    return [Outgoing(wake_up(one.timer), one.shard) for one in found]


def _moved(
    marks: dict[int, Watermark], found: Sequence[DueTimer], now: datetime, share: int
) -> dict[int, Watermark]:
    """Say where each watermark goes: to now, or to the last one fired if there may be more."""
    by_shard: dict[int, list[DueTimer]] = {}
    for one in found:
        by_shard.setdefault(one.shard, []).append(one)
    moved = {}
    for shard, mark in marks.items():
        fired = by_shard.get(shard, [])
        if len(fired) == share:
            moved[shard] = Watermark(fired[-1].timer.due_at, fired[-1].number)
        else:
            moved[shard] = Watermark(max(now, mark.fired_until))
    return moved
