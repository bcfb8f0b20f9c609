"""Counts of memberships per flow."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
_STATES = ("active", "waiting", "completed", "failed", "exited_flow")
_LONGEST_SECONDS = 3600.0


@dataclass(slots=True)
class Counts:
    """How many memberships of a flow there ever were, and what they are; or how that changed.

    Every membership is in one of the states `active`, `waiting`, `completed`, `failed` and
    `exited_flow`; the last two are what is `dropped`. `gone_...` counts those among them that are
    no longer kept.
    """

    entered: int = 0
    active: int = 0
    waiting: int = 0
    completed: int = 0
    failed: int = 0
    exited_flow: int = 0
    last_entry_at: datetime | None = None
    gone_completed: int = 0
    gone_failed: int = 0
    gone_exited_flow: int = 0

    @property
    def dropped(self) -> int:
        """How many were dropped, for whatever reason."""
        return self.failed + self.exited_flow

    def kept(self, states: Iterable[str]) -> int:
        """Say how many in these states are still kept."""
        return sum(getattr(self, one) - getattr(self, f"gone_{one}", 0) for one in states)


@dataclass(slots=True)
class CountChange(Counts):
    """By how much the counts of a flow change; `first_entry_at` is the earliest entry in it."""

    first_entry_at: datetime | None = None

    def enters(self, at: datetime) -> None:
        """Count one more that entered."""
        self.entered += 1
        self.first_entry_at = min(self.first_entry_at or at, at)
        self.last_entry_at = max(self.last_entry_at or at, at)

    def count(self, state: str, by: int) -> None:
        """Count one more, or one less, that is in a state."""
        setattr(self, state, getattr(self, state) + by)


async def add(tx: Transaction, changes: Mapping[UUID, CountChange]) -> None:
    """Add changes of counts, by flow."""
    if changes:
        columns = {name: [getattr(one, name) for one in changes.values()] for name in _STATES}
        await queries.add(
            tx,
            flow_ids=list(changes),
            entered=[one.entered for one in changes.values()],
            **columns,
            first_entry_ats=[one.first_entry_at for one in changes.values()],
            last_entry_ats=[one.last_entry_at for one in changes.values()],
        )


async def fold_alone(tx: Transaction) -> bool:
    """Take the lock of those who fold counts; false if another process has it."""
    alone: bool = await queries.fold_alone(tx)
    return alone


async def fold(tx: Transaction) -> None:
    """Fold the changes of counts into the counts."""
    await queries.fold(tx)


async def forget(tx: Transaction, before: datetime) -> None:
    """Count ended memberships as gone that were stored before this: they are about to be dropped.

    All of them are read, so it may take long. Where pages of their flows begin is found anew.
    """
    await queries.read_whole_tables(tx)
    await tx.execute(queries.forget.sql, before, timeout=_LONGEST_SECONDS)


async def read(pool: Reads, flow_ids: Iterable[UUID]) -> dict[UUID, Counts]:
    """Give the counts of flows; a flow nobody entered is left out."""
    rows = queries.read(pool, flow_ids=list(flow_ids))
    return {row["flow_id"]: Counts(*tuple(row)[1:]) async for row in rows}
