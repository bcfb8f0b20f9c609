"""Counts of memberships per flow."""

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.calendar import to_text

queries = queries_beside(__file__)


@dataclass(slots=True)
class Counts:
    """How many memberships of a flow are in which state, or by how many that changed."""

    entered: int = 0
    active: int = 0
    waiting: int = 0
    completed: int = 0
    dropped: int = 0
    last_entry_at: datetime | None = None


async def add(tx: Transaction, changes: Mapping[UUID, Counts]) -> None:
    """Add changes of counts, by flow."""
    rows = [
        {
            **asdict(change),
            "flow_id": str(flow_id),
            "last_entry_at": to_text(change.last_entry_at) if change.last_entry_at else None,
        }
        for flow_id, change in changes.items()
    ]
    if rows:
        await queries.add(tx, rows=rows)


async def fold(tx: Transaction) -> None:
    """Fold the changes of counts into the counts."""
    await queries.fold(tx)


async def read(pool: Pool, flow_ids: Iterable[UUID]) -> dict[UUID, Counts]:
    """Give the counts of flows; a flow nobody entered is left out."""
    rows = queries.read(pool, flow_ids=list(flow_ids))
    names = ("entered", "active", "waiting", "completed", "dropped", "last_entry_at")
    return {row["flow_id"]: Counts(*(row[name] for name in names)) async for row in rows}
