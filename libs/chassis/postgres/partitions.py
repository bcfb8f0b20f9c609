"""Tables partitioned by time: what grows without end is dropped by the hour or day, not row by row.

Deleting rows cannot keep up with a table that every transaction writes to, and leaves work for
vacuum. Dropping a partition costs the same whatever it holds. A table takes part like this:

    CREATE TABLE seen_event (
        ...
        seen_at timestamptz NOT NULL DEFAULT now(),
        PRIMARY KEY (workspace_id, source, event_id, seen_at)
    ) PARTITION BY RANGE (seen_at);
    CREATE TABLE seen_event_default PARTITION OF seen_event DEFAULT;

and is named where the service is put together:

    builder.partition(TimePartitioned("seen_event", "day", keep=timedelta(days=7)))

The chassis then maintains it: once before the service reads anything, and every minute.

- The column holds real time, as the database knows it. The key must contain it, and so guards only
  against repeats at the same instant: where ids must be unique for longer, ask before you insert.
- The default partition is a safety net: it is there from the migration on and takes what no other
  does, so an insert never fails for want of a partition. What fell into it is moved to partitions
  made for it the next time around; usually it is empty.
- Each partition is `<table>_p2026112114`, `_p20261121` (a day, or a week by its Monday) or
  `_p202611`, in UTC.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.postgres.statements import queries_beside
from libs.chassis.telemetry.logs import logger

queries = queries_beside(__file__)
_LONGEST_SECONDS = 3600.0
_log = logger(__name__)

MayDrop = Callable[[Transaction, datetime], Awaitable[bool]]
"""Says whether a partition that is old enough, and ends at this instant, may go."""


@dataclass(frozen=True, slots=True)
class TimePartitioned:
    """A table that is partitioned by time, and how long its rows are kept.

    Attributes:
        table: Its name.
        period: What one partition holds.
        keep: How long rows are kept at least; at most one period longer.
        ahead: How many partitions are made before they are needed.
        may_drop: Asked before a partition goes; without it, age alone decides.
    """

    table: str
    period: Literal["hour", "day", "week", "month"]
    keep: timedelta
    ahead: int = 2
    may_drop: MayDrop | None = None


async def maintain_partitions(pool: Pool, tables: Sequence[TimePartitioned]) -> None:
    """Create the partitions that will be needed, drop those that are older than what is kept.

    Several processes may do so at once: one works, the others leave it to that one. A table that
    is locked just now is left for the next time; until then the default partition helps out.
    """
    for table in tables:
        with retry_later("partitions.retried"):
            await _create(pool, table)
        with retry_later("partitions.retried"):
            await _drop_spent(pool, table)


async def _create(pool: Pool, table: TimePartitioned) -> None:
    async with _alone(pool) as tx:
        if tx is not None:
            created = await _fetch(tx, queries.create, table.table, table.period, table.ahead)
            if created:
                _log.info("partitions.created", partitions=[row["partition"] for row in created])


async def _drop_spent(pool: Pool, table: TimePartitioned) -> None:
    """Drop what is spent, oldest first; each in a transaction of its own, to hold locks shortly."""
    for row in await _spent(pool, table):
        async with _alone(pool) as tx:
            if tx is None or (table.may_drop and not await table.may_drop(tx, row["ends"])):
                return
            await _fetch(tx, queries.drop, row["partition"])
            _log.info("partition.dropped", partition=row["partition"])


async def _spent(pool: Pool, table: TimePartitioned) -> list[Any]:
    async with _alone(pool) as tx:
        return (
            await _fetch(tx, queries.spent, table.table, table.keep.total_seconds()) if tx else []
        )


@asynccontextmanager
async def _alone(pool: Pool) -> AsyncIterator["Transaction | None"]:
    """Begin a transaction as the only process that changes partitions; None if there is another."""
    async with transaction(pool) as tx:
        alone: bool = await queries.be_alone(tx)
        await queries.be_patient_with_work_not_with_locks(tx)
        yield tx if alone else None


async def _fetch(tx: Transaction, query: Any, *parameters: Any) -> list[Any]:
    """Run a statement without the pool's limit on how long an answer may take."""
    return await tx.fetch(query.sql, *parameters, timeout=_LONGEST_SECONDS)
