"""step.commands: read what the batch is about, act on each command in order, write it back."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import cast
from uuid import UUID

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Received, Results
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import ContactEvent, EmailEvent
from libs.contracts.step_commands import (
    ApplyFlow,
    Enroll,
    FinishPage,
    Observe,
    Remove,
    RestateDates,
    Resume,
    StepCommand,
)
from libs.domain.activity import UnreadActivity
from services.step_executor.store import (
    contacts,
    date_fields,
    ended_memberships,
    memberships,
    proven_deliveries,
)
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.use_cases.activity_log import needed_of, read_log
from services.step_executor.use_cases.apply_flow import Pages, apply_flow
from services.step_executor.use_cases.enroll import EnrollRequest, enroll, remove
from services.step_executor.use_cases.needed_memberships import needed_by, partitions_of
from services.step_executor.use_cases.observe import observe
from services.step_executor.use_cases.proven_deliveries import proven_by
from services.step_executor.use_cases.restate_dates import ContactPages, restate_dates
from services.step_executor.use_cases.resume import finish_page, resume
from services.step_executor.use_cases.unit_of_work import FlowContact, UnitOfWork

Batch = Sequence[Received[StepCommand]]


async def handle_batch(
    tx: Transaction,
    batch: Batch,
    *,
    clock: Clock,
    flows: KnownFlows,
    members_per_page: int,
    planned: Callable[[], None] | None = None,
) -> Results:
    """Act on commands; return what they caused. `planned` is called if a mail is to be sent."""
    now = clock.now()
    pages = _Pages.of(members_per_page)
    unit = await _read(tx, batch, (now, flows, pages))
    if not _act_on_all(unit, batch, pages):
        pages = _Pages.of(members_per_page)
        unit = await _read(tx, batch, (now, flows, pages), to_the_end=True)
        for received in batch:
            _act(unit, received, pages)
    await unit.save(tx)
    if planned and unit.plans_deliveries:
        planned()
    return unit.outgoing


@dataclass(frozen=True, slots=True)
class _Pages:
    """The members and the contacts that a batch looks at by pages."""

    members: Pages
    contacts: ContactPages

    @classmethod
    def of(cls, size: int) -> "_Pages":
        return cls(Pages(size), ContactPages(size))


async def _read(
    tx: Transaction,
    batch: Batch,
    by: tuple[datetime, KnownFlows, _Pages],
    *,
    to_the_end: bool = False,
) -> UnitOfWork:
    """Read what a batch is about; of what contacts did, what all their walks may ask, or one."""
    now, flows, pages = by
    commands = [received.message for received in batch]
    known = await flows.read(tx, _flows_named(commands))
    await pages.members.read(tx, [one for one in commands if isinstance(one, ApplyFlow)], known)
    needed = needed_by(batch)
    pages.members.add_needed(needed)
    await pages.contacts.read(tx, commands, needed)
    found = await memberships.read(tx, needed)
    known |= await flows.read(tx, {one.flow_id for one in found} - known.keys())
    snapshots = await contacts.read(tx, partitions_of(needed))
    needs = needed_of(known, found, commands, to_the_end=to_the_end)
    proven = await proven_deliveries.tried(tx, proven_by(commands, found))
    found += await ended_memberships.read(tx, _named(commands))
    asked = {pair for pair in _asking(commands) if pair[1] in snapshots}
    return UnitOfWork(
        now=now,
        contacts=snapshots,
        needed=needed,
        memberships={membership.membership_id: membership for membership in found},
        flows=known,
        history=await ended_memberships.history(tx, asked),
        date_fields=await date_fields.read(tx, _observed_in(commands)),
        activity=await read_log(tx, needs, commands, now),
        proven=proven,
    )


def _act_on_all(unit: UnitOfWork, batch: Batch, pages: _Pages) -> bool:
    """Act on all commands; False if what contacts did was not read far enough for that."""
    try:
        for received in batch:
            _act(unit, received, pages)
    except UnreadActivity:
        return False
    return not unit.activity.is_short


def _act(unit: UnitOfWork, received: Received[StepCommand], pages: _Pages) -> None:
    partition = received.partition
    match received.message:
        case Observe():
            observe(unit, cast("Received[Observe]", received))
        case Enroll() as command:
            enroll(unit, partition, command)
        case Remove() as command:
            remove(unit, partition, command)
        case Resume() as command:
            resume(unit, partition, command)
        case FinishPage() as command:
            finish_page(unit, partition, command)
        case ApplyFlow():
            apply_flow(unit, cast("Received[ApplyFlow]", received), pages.members)
        case RestateDates():
            restate_dates(unit, cast("Received[RestateDates]", received), pages.contacts)


def _flows_named(commands: Sequence[StepCommand]) -> set[UUID]:
    named = {one.flow_id for one in commands if isinstance(one, Enroll | Remove | ApplyFlow)}
    observed = (one for one in commands if isinstance(one, Observe))
    return named | {start.flow_id for one in observed for start in one.starts}


def _observed_in(commands: Sequence[StepCommand]) -> set[UUID]:
    """Name the workspaces in which something has happened to contacts."""
    return {one.workspace_id for one in commands if isinstance(one, Observe)}


def _asking(commands: Sequence[StepCommand]) -> Iterator[FlowContact]:
    """Give each flow and contact for which it matters who was in the flow before.

    A contact that this service has never heard of has not been anywhere, and is not asked about.
    """
    for one in commands:
        if isinstance(one, Enroll):
            yield one.flow_id, one.contact_key
        elif isinstance(one, Observe):
            yield from ((start.flow_id, one.contact_key) for start in one.starts)


def _named(commands: Sequence[StepCommand]) -> Iterator[tuple[UUID, UUID]]:
    """Give (contact, membership) of those that are meant also if they have ended."""
    for one in commands:
        if isinstance(one, Enroll) and one.reply:
            yield one.contact_id, EnrollRequest.of_command(one).membership_id
        elif isinstance(one, Observe) and (membership_id := _engaged(one.event)):
            yield one.contact_id, membership_id


def _engaged(event: ContactEvent) -> UUID | None:
    return event.data.membership_id if isinstance(event, EmailEvent) else None
