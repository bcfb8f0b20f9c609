"""Read models of memberships: what each is now, and everything that happened to it."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter
from pydantic_core import to_json

from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.contracts.membership_events import MembershipState, TimelineEntry

queries = queries_beside(__file__)
_TIMELINE = TypeAdapter(list[TimelineEntry])
_FAILURES = frozenset({"step_failed", "going_in_circles"})
_RECENT_DAYS = 31
_EVER_DAYS = 365_000


@dataclass(frozen=True, slots=True)
class Known:
    """What was known of a membership before; `stored_at` says where, if it has ended."""

    sequence: int
    updated_at: datetime
    counted_as: str
    stored_at: datetime | None = None


@dataclass(slots=True)
class Update:
    """What a batch of events says of one membership.

    Attributes:
        workspace_id: Whose it is.
        state: What it is now.
        entries: What its timeline gained, in order.
        known: What it was before; None if it is new.
    """

    workspace_id: UUID
    state: MembershipState
    entries: list[TimelineEntry]
    known: Known | None = None

    @property
    def counted_as(self) -> str:
        """What counts it: its status while it is live, then its run status."""
        status = self.state.status
        return status if self.state.ended_at is None else run_status(status, self.state.drop_reason)

    @property
    def had_ended(self) -> bool:
        """Whether it was known as ended."""
        return self.known is not None and self.known.stored_at is not None

    @property
    def ends_otherwise(self) -> bool:
        """Whether it was known as ended, and went another way: an executor was restored."""
        return (
            self.had_ended and self.known is not None and self.known.counted_as != self.counted_as
        )


@dataclass(frozen=True, slots=True)
class StoredMembership:
    """A membership, its contact's fields, and what happened to it."""

    state: MembershipState
    run_status: str
    contact: dict[str, Any]
    timeline: list[TimelineEntry] = field(default_factory=list)


def run_status(status: str, drop_reason: str | None) -> str:
    """Say what a membership is to its readers (services/api/native/README.md, "Memberships")."""
    if status == "dropped":
        return "failed" if drop_reason in _FAILURES else "exited_flow"
    return "completed" if status == "completed" else "in_flow"


async def known(
    tx: Transaction, begun: Iterable[UUID], continued: Iterable[UUID]
) -> dict[UUID, Known]:
    """Say what was known of memberships; new ones are left out.

    Partitions of ended memberships that are long past are read for those alone that must be there:
    no topic keeps a record long enough to repeat what ended before the last month.

    Args:
        tx: The transaction.
        begun: Memberships whose first event is at hand: new, if it is no repeat.
        continued: Memberships that have begun before.
    """
    found = await _known(queries.known_live, tx, {*begun, *continued}, {})
    for wanted, days in (({*begun, *continued}, _RECENT_DAYS), (set(continued), _EVER_DAYS)):
        found |= await _known(queries.known_ended, tx, wanted - found.keys(), {"days": days})
    return found


async def _known(
    statement: Any, tx: Transaction, ids: set[UUID], query: dict[str, int]
) -> dict[UUID, Known]:
    if not ids:
        return {}
    rows = statement(tx, membership_ids=list(ids), **query)
    return {row["membership_id"]: Known(*row[1:]) async for row in rows}


async def write(tx: Transaction, updates: Sequence[Update]) -> None:
    """Write what a batch of events says. A membership that ends moves to the ended ones.

    One whose end is taken back moves back first.
    """
    if back := [one for one in updates if one.ends_otherwise]:
        await queries.move_back(tx, **_places(back))
    after_its_end = {id(one) for one in updates if one.had_ended and not one.ends_otherwise}
    live = [one for one in updates if one.state.ended_at is None]
    ending = [one for one in updates if one.state.ended_at and id(one) not in after_its_end]
    late = [one for one in updates if id(one) in after_its_end]
    if live:
        waiting_untils = [one.state.waiting_until for one in live]
        await queries.write_live(tx, **_states(live), waiting_untils=waiting_untils)
    if walked := [one for one in live if one.entries]:
        await queries.add_timeline(tx, **_entries(walked))
    if ending:
        await queries.end(tx, **_states(ending), **_ends(ending))
    if late:
        updated_ats = [one.state.updated_at for one in late]
        await queries.add_to_ended(tx, **(_entries(late) | _places(late)), updated_ats=updated_ats)


def _places(updates: Sequence[Update]) -> dict[str, list[Any]]:
    return {
        "membership_ids": [one.state.membership_id for one in updates],
        "stored_ats": [one.known.stored_at for one in updates if one.known],
    }


def _states(updates: Sequence[Update]) -> dict[str, list[Any]]:
    """Give what every membership has, a column each: arrays are the cheapest way in."""
    states = [one.state for one in updates]
    return {
        "membership_ids": [one.membership_id for one in states],
        "workspace_ids": [one.workspace_id for one in updates],
        "flow_ids": [one.flow_id for one in states],
        "contact_ids": [one.contact_id for one in states],
        "sequences": [one.sequence for one in states],
        "statuses": [one.status for one in states],
        "current_step_ids": [one.current_step_id for one in states],
        "entry_sources": [one.entry_source for one in states],
        "dynamic_contexts": [_json(one.dynamic_context) for one in states],
        "entered_ats": [one.entered_at for one in states],
        "updated_ats": [one.updated_at for one in states],
    }


def _ends(updates: Sequence[Update]) -> dict[str, list[Any]]:
    states = [one.state for one in updates]
    return {
        "run_statuses": [run_status(one.status, one.drop_reason) for one in states],
        "ended_ats": [one.ended_at for one in states],
        "drop_reasons": [one.drop_reason for one in states],
        "entries": [_json(one.entries) for one in updates],
    }


def _entries(updates: Sequence[Update]) -> dict[str, list[Any]]:
    return {
        "membership_ids": [one.state.membership_id for one in updates],
        "sequences": [one.state.sequence for one in updates],
        "entries": [_json(one.entries) for one in updates],
    }


def _json(value: Any) -> str:
    return to_json(value).decode()


async def read_all(reads: Reads, membership_ids: Sequence[UUID]) -> list[StoredMembership]:
    """Read memberships with their timelines, in this order; what is gone is left out."""
    rows = queries.read_all(reads, membership_ids=membership_ids)
    return [_stored(row) async for row in rows]


async def read(
    pool: Pool, workspace_id: UUID, flow_id: UUID, membership_id: UUID
) -> StoredMembership | None:
    """Read one membership with its timeline."""
    row = await queries.read(
        pool, workspace_id=workspace_id, flow_id=flow_id, membership_id=membership_id
    )
    return _stored(row) if row else None


def _stored(row: Any) -> StoredMembership:
    state = {name: row[name] for name in MembershipState.model_fields}
    return StoredMembership(
        MembershipState.model_validate(state),
        row["run_status"],
        row["fields"] or {},
        _TIMELINE.validate_python([entry for walk in row["walks"] or () for entry in walk]),
    )
