"""The days timers fall into: opened when needed, indexed when they come near, dropped when passed.

Several schedulers share the table. Any of them may open days; indexing and dropping is left to the
one that holds a lock. An index is built beside the writers (CONCURRENTLY), hours before the day is
reached; where that was not possible, `indexed_until` holds the firing back until it is there, so
that a day is never read from end to end.
"""

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from datetime import UTC, date, datetime, time, timedelta

from libs.chassis.clock import Clock
from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
_NEAR = timedelta(days=2)
_NEAR_IN_REAL_TIME = timedelta(minutes=1)
_LONGEST_BUILD_SECONDS = 6 * 3600.0


class OpenDays:
    """The days there are, as this process knows them.

    Attributes:
        indexed_until: Up to here every day has its index, those too that are opened from now on.
    """

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._open: frozenset[date] = frozenset()
        self.indexed_until = datetime.fromtimestamp(0, UTC)

    @property
    def near(self) -> date:
        """Days up to this one have an index: a fast clock reaches two days in no time."""
        return (self._clock.in_real(_NEAR_IN_REAL_TIME) + _NEAR).date()

    async def refresh(self, reads: Reads) -> None:
        """Look which days there are. Call it more often than the clock runs through `near`."""
        near = self.near
        rows = [row async for row in queries.days(reads)]
        unindexed = (row["day"] for row in rows if not row["indexed"])
        self._open = frozenset(row["day"] for row in rows)
        self.indexed_until = datetime.combine(min([near, *unindexed]), time.min, UTC)

    async def open_for(self, tx: Transaction, due_ats: Iterable[datetime]) -> None:
        """See that the days of these instants are open.

        What was seen open stays so as long as there are timers to keep in it: a day goes only when
        all watermarks have passed it.
        """
        wanted = {due_at.astimezone(UTC).date() for due_at in due_ats}
        if not wanted <= self._open:
            await queries.open_days(tx, days=sorted(wanted - self._open), near=self.near)


@asynccontextmanager
async def upkeep(pool: Pool) -> AsyncIterator["Upkeep | None"]:
    """Be the one who indexes and drops days; None if another process is."""
    async with pool.acquire() as connection:
        try:
            alone = await queries.be_alone(connection)
            await queries.be_patient(connection)
            yield Upkeep(connection) if alone else None
        finally:
            await connection.reset()  # gives back both, the lock and the patience


class Upkeep:
    """What only one process does at a time, outside of transactions."""

    def __init__(self, connection: Transaction) -> None:
        self._connection = connection

    async def index(self, near: date) -> int:
        """Index the days that come near, beside those who write to them; give how many."""
        rows = [row async for row in queries.to_index(self._connection, near=near)]
        for row in rows:
            for statement in (row["clear"], row["build"]):
                await self._connection.execute(statement, timeout=_LONGEST_BUILD_SECONDS)
        return len(rows)

    async def drop(self, passed: datetime) -> int:
        """Drop the days that every partition has passed; give how many."""
        done: int = await queries.drop_days(self._connection, passed=passed)
        return done
