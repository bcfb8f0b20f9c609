"""The timers themselves."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Self
from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.timer_commands import Purpose, SetTimer

queries = queries_beside(__file__)


@dataclass(frozen=True, slots=True)
class Timer:
    """A wake-up: for whom, when (UTC), and what for."""

    due_at: datetime
    workspace_id: UUID
    contact_id: UUID
    membership_id: UUID
    hop: int
    purpose: Purpose

    @classmethod
    def of(cls, command: SetTimer) -> Self:
        """Take it from a command."""
        return cls(
            command.due_at,
            command.workspace_id,
            command.contact_id,
            command.membership_id,
            command.hop,
            command.purpose,
        )


@dataclass(frozen=True, slots=True)
class DueTimer:
    """A timer that is due, and its place in its partition."""

    partition: int
    number: int
    timer: Timer


async def keep(tx: Transaction, timers: Sequence[Received[SetTimer]]) -> None:
    """Keep timers; the days they fall into are opened first."""
    if not timers:
        return
    commands = [received.message for received in timers]
    await queries.open_days(tx, days=sorted({_day(command.due_at) for command in commands}))
    await queries.keep(
        tx,
        partitions=[received.partition for received in timers],
        due_ats=[command.due_at for command in commands],
        workspaces=[command.workspace_id for command in commands],
        contacts=[command.contact_id for command in commands],
        memberships=[command.membership_id for command in commands],
        hops=[command.hop for command in commands],
        purposes=[command.purpose for command in commands],
    )


def _day(instant: datetime) -> date:
    return instant.astimezone(UTC).date()


async def partitions_due(pool: Pool, partitions: Iterable[int], now: datetime) -> list[int]:
    """Name the partitions in which something is due."""
    rows = queries.partitions_due(pool, partitions=sorted(partitions), now=now)
    return [row["partition"] async for row in rows]


async def due(
    tx: Transaction, partitions: Sequence[int], now: datetime, at_most: int
) -> list[DueTimer]:
    """Give what is due, per partition in order, at most so many of each."""
    rows = queries.due(tx, partitions=partitions, now=now, at_most=at_most)
    names = ("due_at", "workspace_id", "contact_id", "membership_id", "hop", "purpose")
    return [
        DueTimer(row["partition"], row["number"], Timer(*(row[name] for name in names)))
        async for row in rows
    ]


async def database_time(pool: Pool) -> datetime:
    """Read the database's clock: real time, the same for all schedulers."""
    now: datetime = await queries.database_time(pool)
    return now


async def index_days(tx: Transaction, up_to: date) -> int:
    """Index the days that come near; give how many."""
    done: int = await queries.index_days(tx, up_to=up_to)
    return done


async def drop_days(tx: Transaction, passed: datetime) -> int:
    """Drop the days that every partition has passed; give how many."""
    done: int = await queries.drop_days(tx, passed=passed)
    return done
