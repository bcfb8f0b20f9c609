"""Release the dates that have come: bounded ticks, by a watermark that moves with the outbox.

A tick is short, because timers and commands wait for it, and the next one follows at once while
something is left: in between it is their turn.
"""

import time
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import NamedTuple

from prometheus_client import Counter

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Outgoing
from libs.chassis.outages import Backoff
from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.telemetry.logs import logger
from libs.contracts.timer_commands import TimerCommand
from libs.domain.occurrences import CAUGHT_UP
from services.scheduler.loops.database_clock import DatabaseClock
from services.scheduler.store.date_triggers import CurrentSchedule
from services.scheduler.use_cases.release_dates import Released, release

SKIPPED = Counter(
    "millrace_date_slices_skipped_total",
    "Slices (a date trigger's day in one partition) that fell due more than 24 hours ago.",
)
_REFRESH_SECONDS = 1.0
_AT_ONCE = datetime.fromtimestamp(0, UTC)
_log = logger(__name__)


class _Looked(NamedTuple):
    """What a partition was looked at with, and before when there is no need to look again."""

    epoch: int
    revision: int
    next_look: datetime
    turn: int


class ReleaseDates:
    """The tick. It releases in the partitions this process owns, and in no other."""

    def __init__(
        self,
        reader: Reader[TimerCommand],
        clocks: tuple[DatabaseClock, Clock],
        pool: Pool,
        current: CurrentSchedule,
        dates_per_tick: int,
    ) -> None:
        self._reader = reader
        self._database_clock, self._clock = clocks
        self._pool = pool
        self._current = current
        self._dates_per_tick = dates_per_tick
        self._looked: dict[int, _Looked] = {}
        self._is_left = False
        self._turns = 0
        self._refreshed = float("-inf")
        self._backoff = Backoff()

    async def tick(self) -> bool:
        """Release what has come by now, at most so many; an outage is waited out.

        Returns:
            Whether something is left that has come.
        """
        self._is_left = False
        await self._backoff.attempt("dates.retried", self._tick)
        return self._is_left

    async def _tick(self) -> None:
        real = await self._database_clock.now()
        if real is None:
            return
        if time.monotonic() - self._refreshed > _REFRESH_SECONDS:
            await self._current.refresh(self._pool)
            self._refreshed = time.monotonic()
        until = self._clock.from_real(real)
        self._current.schedule.forget_closed(until - 2 * CAUGHT_UP)
        if partitions := self._to_look_at(until):
            done = await self._release(partitions, until)
            self._is_left = done and bool(self._to_look_at(until))

    def _to_look_at(self, until: datetime) -> list[int]:
        """Name partitions in which something may have come, those first that have waited longest.

        Each may open as many slices as there are triggers: so many that this is not too much.
        """
        owned = self._reader.armed
        wanted = [number for number, one in owned.items() if self._may_have_come(one, until)]
        wanted.sort(key=self._turn)
        return wanted[: max(1, self._dates_per_tick // max(1, len(self._current.schedule)))]

    def _turn(self, partition: int) -> int:
        looked = self._looked.get(partition)
        return looked.turn if looked else 0

    def _may_have_come(self, one: OwnedPartition, until: datetime) -> bool:
        looked = self._looked.get(one.partition)
        revision = self._current.schedule.revision
        return (
            looked is None
            or (looked.epoch, looked.revision) != (one.epoch, revision)
            or looked.next_look <= until
        )

    async def _release(self, partitions: Sequence[int], until: datetime) -> bool:
        done = Released()

        async def work(tx: Transaction, owned: Sequence[OwnedPartition]) -> list[Outgoing]:
            nonlocal done
            numbers = [one.partition for one in owned]
            schedule = self._current.schedule
            done = await release(tx, numbers, schedule, until, self._dates_per_tick)
            for one in owned:
                self._note(one, until, done)
            return done.outgoing

        ours = False
        try:
            ours = await self._reader.run_as_owner(work, partitions)
        finally:
            if not ours:
                for partition in partitions:
                    self._looked.pop(partition, None)
        if ours and done.skipped:
            SKIPPED.inc(done.skipped)
            _log.warning("dates.skipped", slices=done.skipped)
        return ours

    def _note(self, one: OwnedPartition, until: datetime, done: Released) -> None:
        schedule = self._current.schedule
        left = one.partition in done.unfinished
        next_look = _AT_ONCE if left else schedule.next_after(until)
        self._turns += 1
        looked = _Looked(one.epoch, schedule.revision, next_look, self._turns)
        self._looked[one.partition] = looked
