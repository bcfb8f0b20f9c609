"""step.commands: read what the batch is about, act on each command in order, write it back."""

from collections.abc import Callable, Iterator, Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Received, Results
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import ContactEvent, EmailEvent
from libs.contracts.step_commands import ApplyFlow, Enroll, Observe, Remove, Resume, StepCommand
from libs.domain.activity import UnreadActivity
from services.step_executor.store import (
    contacts,
    ended_memberships,
    memberships,
    proven_deliveries,
)
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.use_cases.activity_log import needed_of, read_log
from services.step_executor.use_cases.apply_flow import Pages, apply_flow
from services.step_executor.use_cases.enroll import EnrollRequest, enroll, remove
from services.step_executor.use_cases.needed_memberships import needed_by
from services.step_executor.use_cases.observe import observe
from services.step_executor.use_cases.proven_deliveries import proven_by
from services.step_executor.use_cases.resume import resume
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
    commands, now = [received.message for received in batch], clock.now()
    pages = Pages(members_per_page)
    unit = await _read(tx, commands, (now, flows, pages))
    if not _act_on_all(unit, batch, pages):
        pages = Pages(members_per_page)
        unit = await _read(tx, commands, (now, flows, pages), to_the_end=True)
        for received in batch:
            _act(unit, received, pages)
    await unit.save(tx)
    if planned and unit.plans_deliveries:
        planned()
    return unit.outgoing


async def _read(
    tx: Transaction,
    commands: Sequence[StepCommand],
    by: tuple[datetime, KnownFlows, Pages],
    *,
    to_the_end: bool = False,
) -> UnitOfWork:
    """Read what a batch is about; of what contacts did, what all their walks may ask, or one."""
    now, flows, pages = by
    known = await flows.read(tx, _flows_named(commands))
    await pages.read(tx, [one for one in commands if isinstance(one, ApplyFlow)], known)
    needed = needed_by(commands, pages.members())
    found = await memberships.read(tx, needed)
    known |= await flows.read(tx, {one.flow_id for one in found} - known.keys())
    snapshots = await contacts.read(tx, needed)
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
        activity=await read_log(tx, needs, commands, now),
        proven=proven,
    )


def _act_on_all(unit: UnitOfWork, batch: Batch, pages: Pages) -> bool:
    """Act on all commands; False if what contacts did was not read far enough for that."""
    try:
        for received in batch:
            _act(unit, received, pages)
    except UnreadActivity:
        return False
    return not unit.activity.is_short


def _act(unit: UnitOfWork, received: Received[StepCommand], pages: Pages) -> None:
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
        case ApplyFlow():
            apply_flow(unit, cast("Received[ApplyFlow]", received), pages)


def _flows_named(commands: Sequence[StepCommand]) -> set[UUID]:
    named = {one.flow_id for one in commands if isinstance(one, Enroll | Remove | ApplyFlow)}
    observed = (one for one in commands if isinstance(one, Observe))
    return named | {start.flow_id for one in observed for start in one.starts}


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
