"""A flow changed: bring a partition's members in line with it, a page at a time."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.chassis.outages import is_outage
from libs.chassis.postgres.pool import Transaction
from libs.contracts.message import derived_id
from libs.contracts.step_commands import ApplyFlow
from libs.domain.flow import Flow, FlowStatus
from libs.domain.membership import Membership, WaitingOn
from libs.domain.walk import WalkResult, drop
from libs.domain.walk_events import FLOW_CHANGED
from services.step_executor.store import definitions, memberships
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.memberships import NeededMemberships
from services.step_executor.use_cases.needed_memberships import need
from services.step_executor.use_cases.unit_of_work import UnitOfWork

_IN_A_PAUSE: tuple[WaitingOn, ...] = ("delivery",)
_AFTER_A_PAUSE: tuple[WaitingOn, ...] = ("reactivation", "delivery", "event", "timer")


@dataclass(frozen=True, slots=True)
class Page:
    """The members of a partition one command is about now, and whether there are more of them."""

    partition: int
    members: tuple[tuple[UUID, ContactKey], ...]
    is_last: bool


@dataclass(slots=True)
class Pages:
    """The pages of a batch: all its commands together look at no more than one page of members.

    Commands for which nothing is left come again in a later batch. A command that a newer version
    of its flow has overtaken looks at nobody: the newer version has commands of its own.
    """

    left: int
    by_command: dict[UUID, Page] = field(default_factory=dict)

    async def read(
        self, tx: Transaction, commands: Sequence[ApplyFlow], flows: dict[UUID, Flow]
    ) -> None:
        """Read as many members as there is room for, command by command."""
        applied = await definitions.applied_versions(tx, {one.flow_id for one in commands})
        for command in commands:
            if applied.get(command.flow_id, 0) > command.version:
                self.by_command[command.id] = Page(command.partition, (), is_last=True)
            elif command.flow_id in flows and self.left > 0:
                flow = flows[command.flow_id]
                self.by_command[command.id] = await self._read_one(tx, command, flow)

    async def _read_one(self, tx: Transaction, command: ApplyFlow, flow: Flow) -> Page:
        at_most = self.left
        place = (command.partition, command.flow_id, command.after)
        members = await memberships.page(tx, place, _concerned(flow), flow.durations, at_most)
        self.left -= len(members)
        return Page(command.partition, tuple(members), len(members) < at_most)

    def add_needed(self, needed: dict[ContactKey, NeededMemberships]) -> None:
        """Add all members that are to be looked at to what the batch must read."""
        for page in self.by_command.values():
            for membership_id, contact in page.members:
                need(needed, contact, page.partition).membership_ids.add(membership_id)


def apply_flow(unit: UnitOfWork, received: Received[ApplyFlow], pages: Pages) -> None:
    """Treat one page of members, and say so if there are more. A fault costs one member alone.

    Raises:
        NotYet: If the definition has not arrived here.
    """
    command, partition = received.message, received.partition
    flow = unit.flow(command.flow_id, command.version)
    page = pages.by_command.get(command.id)
    if page is None:
        unit.enqueue(partition, _again(command, command.after))
        return
    for membership in _live(unit, page.members):
        try:
            _bring_in_line(unit, partition, flow, membership)
        except Exception as error:
            if is_outage(error):
                raise
            unit.condemn(received, _from(command, membership), error)
    if not page.is_last:
        unit.enqueue(partition, _again(command, page.members[-1][0]))


def concerns_members(before: Flow, now: Flow) -> bool:
    """Say whether a new version changes anything for those who are inside already."""
    return _judged_by(before) != _judged_by(now)


def _judged_by(flow: Flow) -> tuple[object, ...]:
    inlined = flow.custom_fields, flow.segments
    return flow.status, flow.guards, inlined, flow.waits_for_events, flow.durations


def _concerned(flow: Flow) -> Sequence[WaitingOn] | None:
    """Say which members must be looked at: everyone, or those who wait on some things.

    Those who wait for a time are, only if they do not stand as the flow now says.
    """
    if flow.end_reason or flow.guards:
        return None
    return _IN_A_PAUSE if flow.status is FlowStatus.PAUSED else _AFTER_A_PAUSE


def _again(command: ApplyFlow, after: UUID) -> ApplyFlow:
    return command.model_copy(update={"id": derived_id(command.id, after), "after": after})


def _from(command: ApplyFlow, membership: Membership) -> ApplyFlow:
    """Write the command that begins with this member, for who replays it: doing so is harmless."""
    return _again(command, UUID(int=membership.membership_id.int - 1))


def _live(unit: UnitOfWork, members: Iterable[tuple[UUID, ContactKey]]) -> Iterable[Membership]:
    found = (unit.memberships.get(membership_id) for membership_id, _ in members)
    return (membership for membership in found if membership is not None and membership.is_live)


def _bring_in_line(unit: UnitOfWork, partition: int, flow: Flow, membership: Membership) -> None:
    if result := _moved(unit, flow, membership):
        unit.apply(partition, result)
        return
    listening = membership.listen(flow.listens_at(membership.step_id))
    unit.apply(partition, WalkResult(listening))
    if flow.status is FlowStatus.PAUSED:
        unit.hold_deliveries(membership)
    elif membership.waiting_on == "delivery":
        unit.release_deliveries(membership)


def _moved(unit: UnitOfWork, flow: Flow, membership: Membership) -> WalkResult | None:
    """Say what the change makes of a member at once, if anything."""
    if reason := flow.end_reason:
        return drop(membership, reason, unit.now)
    contact = unit.contact_of(membership)
    if reason := flow.refuses("event", contact, unit.now):
        return drop(membership, reason, unit.now)
    if flow.status is FlowStatus.ACTIVE and membership.parked is not None:
        return unit.walk(flow, membership, membership.parked)
    is_timed_anew = flow.status is FlowStatus.ACTIVE and membership.waiting_on == "timer"
    if membership.waiting_on == "event" or is_timed_anew:
        return unit.walk(flow, membership, FLOW_CHANGED)
    return None
