"""Memberships: read for a batch, written back as a set."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic import TypeAdapter

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.membership import Membership, MembershipStatus
from libs.domain.step_result import WalkEvent

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""
_OCCURRENCE: TypeAdapter[WalkEvent] = TypeAdapter(WalkEvent)


class MovedMeanwhile(Exception):  # noqa: N818  (a fact that must never be)
    """A membership is not where it was read: two owners of one partition. Nothing is written."""


@dataclass(frozen=True, slots=True)
class NewMembership:
    """A membership to be written for the first time, with what caused it."""

    membership: Membership
    partition: int
    source_id: str


async def read(
    tx: Transaction, contacts: Iterable[ContactKey], membership_ids: Iterable[UUID]
) -> list[Membership]:
    """Give the live memberships of some contacts, and some memberships whatever their state."""
    keys = list(contacts)
    rows = queries.read(
        tx,
        workspace_ids=[workspace_id for workspace_id, _ in keys],
        contact_ids=[contact_id for _, contact_id in keys],
        membership_ids=list(membership_ids),
    )
    return [_membership(row) async for row in rows]


async def history(
    tx: Transaction, pairs: Iterable[tuple[UUID, UUID]]
) -> dict[tuple[UUID, UUID], int]:
    """Count the runs of each (flow, contact)."""
    wanted = list(pairs)
    if not wanted:
        return {}
    flow_ids, contact_ids = zip(*wanted, strict=True)
    rows = queries.history(tx, flow_ids=flow_ids, contact_ids=contact_ids)
    return {(row["flow_id"], row["contact_id"]): row["runs"] async for row in rows}


async def page(
    tx: Transaction, partition: int, flow_id: UUID, after: UUID, *, everyone: bool, at_most: int
) -> list[tuple[UUID, ContactKey]]:
    """Give (membership, contact) of some live members of a flow in a partition, in order."""
    rows = queries.page(
        tx, partition=partition, flow_id=flow_id, after=after, everyone=everyone, at_most=at_most
    )
    return [(row["membership_id"], (row["workspace_id"], row["contact_id"])) async for row in rows]


async def enter(tx: Transaction, members: Sequence[NewMembership]) -> None:
    """Write new memberships."""
    if members:
        rows = [
            _row(new.membership) | {"partition": new.partition, "source_id": new.source_id}
            for new in members
        ]
        await queries.enter(tx, rows=rows)


async def move(tx: Transaction, moved: Sequence[tuple[Membership, Membership]]) -> None:
    """Write memberships that moved, given as they were found and as they are now.

    Raises:
        MovedMeanwhile: If one is not as it was found.
    """
    if not moved:
        return
    rows = queries.move(
        tx,
        rows=[_row(now) for _, now in moved],
        membership_ids=[found.membership_id for found, _ in moved],
        old_sequences=[found.sequence for found, _ in moved],
        old_hops=[found.hop for found, _ in moved],
    )
    written = {row["membership_id"] async for row in rows}
    if missed := {found.membership_id for found, _ in moved} - written:
        raise MovedMeanwhile(f"memberships {sorted(map(str, missed))}")


async def stuck(pool: Pool, overdue: datetime) -> int:
    """Count live memberships that nothing will move any more. It must be 0."""
    row = await queries.stuck(pool, overdue=overdue)
    return int(row["timers"]) + int(row["deliveries"])


def _row(membership: Membership) -> dict[str, Any]:
    return {
        "membership_id": str(membership.membership_id),
        "workspace_id": str(membership.workspace_id),
        "flow_id": str(membership.flow_id),
        "contact_id": str(membership.contact_id),
        "entry_source": membership.entry_source,
        "entered_at": membership.entered_at.isoformat(),
        "updated_at": membership.updated_at.isoformat(),
        "status": membership.status.value,
        "waiting_on": membership.waiting_on,
        "hop": membership.hop,
        "step_id": membership.step_id,
        "waiting_until": _text(membership.waiting_until),
        "parked": _OCCURRENCE.dump_python(membership.parked) if membership.parked else None,
        "dynamic_context": dict(membership.dynamic_context),
        "engagement": {
            step_id: {metric: at.isoformat() for metric, at in metrics.items()}
            for step_id, metrics in membership.engagement.items()
        },
        "ended_at": _text(membership.ended_at),
        "drop_reason": membership.drop_reason,
        "sequence": membership.sequence,
    }


def _text(instant: datetime | None) -> str | None:
    return instant.isoformat() if instant else None


_SAME_NAME = (
    "membership_id workspace_id flow_id contact_id entry_source entered_at updated_at waiting_on "
    "hop step_id waiting_until dynamic_context ended_at drop_reason sequence"
).split()


def _membership(row: Any) -> Membership:
    engagement = {
        step_id: {metric: datetime.fromisoformat(at) for metric, at in metrics.items()}
        for step_id, metrics in row["engagement"].items()
    }
    return Membership(
        **{name: row[name] for name in _SAME_NAME},
        status=MembershipStatus(row["status"]),
        parked=_OCCURRENCE.validate_python(row["parked"]) if row["parked"] else None,
        engagement=engagement,
    )
