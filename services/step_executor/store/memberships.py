"""Live memberships: read for a batch, written back as a set."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from pydantic import TypeAdapter

from libs.chassis.postgres.pool import Pool, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.contact import ContactSnapshot, Engagement
from libs.domain.listening import KEYING
from libs.domain.membership import Membership, MembershipStatus, WaitingOn
from libs.domain.walk_events import WalkEvent

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""
_LAST = UUID(int=2**128 - 1)
_WALK_EVENT: TypeAdapter[WalkEvent] = TypeAdapter(WalkEvent)


class MovedMeanwhile(Exception):  # noqa: N818  (a fact that must never be)
    """A membership is not where it was read: two owners of one partition. Nothing is written."""


@dataclass(frozen=True, slots=True)
class Audit:
    """What a look at some live memberships found.

    Attributes:
        looked_at: How many were looked at.
        last: The last of them; None if there was none.
        stuck: How many of them nothing will ever move.
    """

    looked_at: int
    last: UUID | None
    stuck: int


@dataclass(slots=True)
class NeededMemberships:
    """Which of a contact's live memberships are needed.

    Attributes:
        partition: In which partition the contact lives.
        everything: Whether all are.
        flow_ids: Those in these flows are.
        membership_ids: These are.
        keys: Those that listen to any of these facts are; None if nothing has happened to any.
    """

    partition: int
    everything: bool = False
    flow_ids: set[UUID] = field(default_factory=set)
    membership_ids: set[UUID] = field(default_factory=set)
    keys: frozenset[int] | None = None


async def read(tx: Transaction, needed: Mapping[ContactKey, NeededMemberships]) -> list[Membership]:
    """Give the live memberships that are needed of some contacts."""
    wanted = needed.values()
    rows = queries.read(
        tx,
        workspace_ids=[key[0] for key in needed],
        contact_ids=[key[1] for key in needed],
        everything=[one.everything for one in wanted],
        flow_ids=[_as_array(one.flow_ids) if one.flow_ids else None for one in wanted],
        membership_ids=[
            _as_array(one.membership_ids) if one.membership_ids else None for one in wanted
        ],
        keys=[None if one.keys is None else _as_array(one.keys) for one in wanted],
        keying=KEYING,
    )
    return [_membership(row) async for row in rows]


def _as_array(values: Collection[UUID | int]) -> str:
    return f"{{{','.join(map(str, values))}}}" if values else "{}"


async def page(
    tx: Transaction,
    place: tuple[int, UUID, UUID],
    waiting_on: Sequence[WaitingOn] | None,
    durations: Mapping[str, timedelta],
    at_most: int,
) -> list[tuple[UUID, ContactKey]]:
    """Give (membership, contact) of some live members of a flow, in order of their ids.

    Args:
        tx: The transaction.
        place: Partition, flow, and the membership after which to go on.
        waiting_on: Only those who wait on one of these; None for everyone.
        durations: How long some steps hold. Who waits just so long at one is left out, unless
            everyone is asked for.
        at_most: How many.
    """
    partition, flow_id, after = place
    rows = queries.page(
        tx,
        partition=partition, flow_id=flow_id, after=after, waiting_on=waiting_on,
        step_ids=list(durations),
        seconds=[length.total_seconds() for length in durations.values()],
        at_most=at_most,
    )  # fmt: skip
    return [(row["membership_id"], (row["workspace_id"], row["contact_id"])) async for row in rows]


async def enter(tx: Transaction, new: Sequence[tuple[int, Membership]]) -> None:
    """Write new memberships, each with its partition."""
    if not new:
        return
    entered = [membership for _, membership in new]
    await queries.enter(
        tx,
        partitions=[partition for partition, _ in new],
        workspaces=[one.workspace_id for one in entered],
        flows=[one.flow_id for one in entered],
        contacts=[one.contact_id for one in entered],
        entry_sources=[one.entry_source for one in entered],
        entered_ats=[one.entered_at for one in entered],
        dynamic_contexts=[one.dynamic_context for one in entered],
        depths=[one.depth for one in entered],
        **_where_they_stand(entered),
    )


async def move(tx: Transaction, moved: Sequence[tuple[Membership, Membership]]) -> None:
    """Write memberships that moved and live, given as they were found and as they are now.

    Raises:
        MovedMeanwhile: If one is not as it was found.
    """
    if moved:
        rows = queries.move(
            tx,
            old_sequences=[found.sequence for found, _ in moved],
            old_hops=[found.hop for found, _ in moved],
            **_where_they_stand([now for _, now in moved]),
        )
        _check_all({row["membership_id"] async for row in rows}, [found for found, _ in moved])
        await _put_contexts(tx, moved)


async def _put_contexts(tx: Transaction, moved: Sequence[tuple[Membership, Membership]]) -> None:
    """Write the values of those runs that have others than before."""
    changed = [now for found, now in moved if now.dynamic_context is not found.dynamic_context]
    if changed:
        await queries.put_contexts(
            tx,
            ids=[one.membership_id for one in changed],
            dynamic_contexts=[one.dynamic_context for one in changed],
        )


async def remove(tx: Transaction, found: Sequence[Membership]) -> None:
    """Take memberships that have ended away, given as they were found.

    Raises:
        MovedMeanwhile: If one is not as it was found.
    """
    if found:
        rows = queries.remove(
            tx,
            ids=[one.membership_id for one in found],
            old_sequences=[one.sequence for one in found],
            old_hops=[one.hop for one in found],
        )
        _check_all({row["membership_id"] async for row in rows}, found)


async def audit(pool: Pool, after: UUID, overdue: datetime, at_most: int) -> Audit:
    """Look at some live memberships, in order of their ids: is there what moves each of them?"""
    row = await queries.audit(pool, after=after, overdue=overdue, at_most=at_most)
    return Audit(
        row["looked_at"], row["last"], row["timers"] + row["deliveries"] + row["left_behind"]
    )


class Standing(NamedTuple):
    """A membership that waits for an event, what is known of its contact, and of its flow."""

    membership: Membership
    contact: ContactSnapshot
    flow_version: int


async def end_of_page(tx: Transaction, after: UUID, at_most: int) -> UUID | None:
    """Give the last of so many live memberships in order of their ids; None if there are fewer."""
    last: UUID | None = await queries.end_of_page(tx, after=after, at_most=at_most)
    return last


async def waits(tx: Transaction, after: UUID, last: UUID | None) -> list[Standing]:
    """Give those among some live memberships that wait for an event."""
    rows = queries.waits(tx, after=after, last=last or _LAST)
    return [Standing(_membership(row), _contact(row), row["flow_version"]) async for row in rows]


def _contact(row: Any) -> ContactSnapshot:
    return ContactSnapshot(
        row["contact_id"], row["fields"], row["custom_fields"], frozenset(row["lists"])
    )


def _check_all(written: set[UUID], found: Sequence[Membership]) -> None:
    if missed := {one.membership_id for one in found} - written:
        raise MovedMeanwhile(f"memberships {sorted(map(str, missed))}")


def _where_they_stand(memberships: Sequence[Membership]) -> dict[str, list[Any]]:
    return {
        "ids": [one.membership_id for one in memberships],
        "updated_ats": [one.updated_at for one in memberships],
        "statuses": [one.status.value for one in memberships],
        "waiting_ons": [one.waiting_on for one in memberships],
        "hops": [one.hop for one in memberships],
        "step_ids": [one.step_id for one in memberships],
        "stood_ats": [one.stood_at or one.entered_at for one in memberships],
        "times_out_ats": [one.times_out_at for one in memberships],
        "listens": [_as_array(one.listens) for one in memberships],
        "keyings": [one.keying for one in memberships],
        "waiting_untils": [one.waiting_until for one in memberships],
        "parked": [_WALK_EVENT.dump_python(one.parked) if one.parked else None
                   for one in memberships],
        "engagements": [engagement_as_json(one.engagement) for one in memberships],
        "sequences": [one.sequence for one in memberships],
    }  # fmt: skip


def engagement_as_json(engagement: Engagement) -> dict[str, dict[str, str]]:
    """Write what became of a run's mails."""
    return {
        step_id: {metric: at.isoformat() for metric, at in metrics.items()}
        for step_id, metrics in engagement.items()
    }


def engagement_from_json(stored: dict[str, dict[str, str]]) -> Engagement:
    """Read what became of a run's mails."""
    return {
        step_id: {metric: datetime.fromisoformat(at) for metric, at in metrics.items()}
        for step_id, metrics in stored.items()
    }


def _membership(row: Any) -> Membership:
    return membership_of(
        row,
        waiting_on=row["waiting_on"],
        stood_at=row["stood_at"],
        waiting_until=row["waiting_until"],
        depth=row["depth"],
        times_out_at=row["times_out_at"],
        listens=tuple(row["listens"]),
        keying=row["keying"],
        parked=_WALK_EVENT.validate_python(row["parked"]) if row["parked"] else None,
    )


def membership_of(row: Any, **state: Any) -> Membership:
    """Read what a row of a live and of an ended membership share; `state` is what only one has."""
    return Membership(
        membership_id=row["membership_id"],
        workspace_id=row["workspace_id"],
        flow_id=row["flow_id"],
        contact_id=row["contact_id"],
        entry_source=row["entry_source"],
        entered_at=row["entered_at"],
        updated_at=row["updated_at"],
        status=MembershipStatus(row["status"]),
        hop=row["hop"],
        step_id=row["step_id"],
        dynamic_context=row["dynamic_context"],
        engagement=engagement_from_json(row["engagement"]),
        sequence=row["sequence"],
        **state,
    )
