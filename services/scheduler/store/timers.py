"""The timers themselves."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.timer_commands import SetTimer

queries = queries_beside(__file__)


class Timer(NamedTuple):
    """A wake-up that is due: its place, when (UTC) and for whom."""

    partition: int
    number: int
    due_at: datetime
    workspace_id: UUID
    contact_id: UUID
    membership_id: UUID
    hop: int


async def keep(tx: Transaction, timers: Sequence[Received[SetTimer]]) -> None:
    """Keep timers; the days they fall into must be open."""
    commands = [received.message for received in timers]
    await queries.keep(
        tx,
        partitions=[received.partition for received in timers],
        due_ats=[command.due_at for command in commands],
        workspaces=[command.workspace_id for command in commands],
        contacts=[command.contact_id for command in commands],
        memberships=[command.membership_id for command in commands],
        hops=[command.hop for command in commands],
    )


async def due(
    tx: Transaction, partitions: Sequence[int], until: datetime, at_most: int
) -> list[Timer]:
    """Give what is due, per partition in order, at most so many of each."""
    await queries.use_indexes(tx)
    rows = queries.due(tx, partitions=partitions, until=until, at_most=at_most)
    return [Timer(*row) async for row in rows]


async def upcoming(
    tx: Transaction, partitions: Iterable[int], until: datetime
) -> dict[int, datetime]:
    """Say when the next timer of each partition is due; those without one so soon are left out.

    Asked after `due`, in the same transaction.
    """
    rows = queries.upcoming(tx, partitions=list(partitions), until=until)
    return {row["partition"]: row["due_at"] async for row in rows}


async def database_time(reads: Reads) -> datetime:
    """Read the database's clock: real time, the same for all schedulers."""
    now: datetime = await queries.database_time(reads)
    return now
