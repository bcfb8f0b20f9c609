"""Read models of memberships: what each is now, its timeline, refusals, and counts per flow."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from services.api.store.pages import read_page

queries = queries_beside(__file__)


class Known(NamedTuple):
    """What was known of a membership before."""

    sequence: int
    status: str


@dataclass(slots=True)
class Counts:
    """How many runs of a flow are in which state, or by how many that changed."""

    entered: int = 0
    active: int = 0
    waiting: int = 0
    completed: int = 0
    dropped: int = 0
    last_entry_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Entry:
    """One line of a timeline."""

    sequence: int
    kind: str
    step_id: str | None
    label: str | None
    occurred_at: datetime
    details: dict[str, Any]


@dataclass(frozen=True, slots=True)
class Member:
    """A membership, its contact's fields, and what happened to it."""

    membership_id: UUID
    run: dict[str, Any]
    run_status: str
    contact: dict[str, Any]
    timeline: list[Entry] = field(default_factory=list)


async def known(tx: Transaction, membership_ids: Iterable[UUID]) -> dict[UUID, Known]:
    """Say what was known of memberships; new ones are left out."""
    rows = queries.known(tx, membership_ids=list(membership_ids))
    return {row["membership_id"]: Known(row["sequence"], row["status"]) async for row in rows}


async def write(
    tx: Transaction,
    runs: Sequence[dict[str, Any]],
    entries: Sequence[dict[str, Any]],
    refusals: Sequence[dict[str, Any]],
    counts: Sequence[dict[str, Any]],
) -> None:
    """Write what a batch of events said."""
    if runs:
        await queries.write(tx, rows=runs)
    if entries:
        await queries.add_timeline(tx, rows=entries)
    if refusals:
        await queries.add_refusals(tx, rows=refusals)
    if counts:
        await queries.add_counts(tx, rows=counts)


async def fold_counts(tx: Transaction) -> None:
    """Fold the changes of counts into the counts."""
    await queries.fold_counts(tx)


async def counts(pool: Pool, flow_ids: Iterable[UUID]) -> dict[UUID, Counts]:
    """Give the counts of flows; a flow nobody entered is left out."""
    rows = queries.counts(pool, flow_ids=list(flow_ids))
    names = ("entered", "active", "waiting", "completed", "dropped", "last_entry_at")
    return {row["flow_id"]: Counts(*(row[name] for name in names)) async for row in rows}


async def page(pool: Pool, **query: Any) -> tuple[list[Member], int]:
    """Give one page of memberships with their timelines, and how many there are."""
    rows, total = await read_page(queries.page, pool, query)
    return await _members(pool, rows), total


async def read(pool: Pool, workspace_id: UUID, flow_id: UUID, membership_id: UUID) -> Member | None:
    """Read one membership with its timeline."""
    row = await queries.read(
        pool, workspace_id=workspace_id, flow_id=flow_id, membership_id=membership_id
    )
    return (await _members(pool, [row]))[0] if row else None


async def refusals(pool: Pool, **query: Any) -> tuple[list[dict[str, Any]], int]:
    """Give one page of refusals, and how many there are."""
    return await read_page(queries.refusals, pool, query)


async def _members(pool: Pool, rows: Sequence[Any]) -> list[Member]:
    members = {
        row["membership_id"]: Member(
            row["membership_id"], row["run"], row["run_status"], row["fields"] or {}
        )
        for row in rows
    }
    names = ("sequence", "kind", "step_id", "label", "occurred_at", "details")
    async for row in queries.timelines(pool, membership_ids=list(members)):
        members[row["membership_id"]].timeline.append(Entry(*(row[name] for name in names)))
    return list(members.values())
