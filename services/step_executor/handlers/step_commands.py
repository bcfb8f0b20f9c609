"""step.commands: read what the batch is about, act on each command in order, write it back."""

from collections.abc import Sequence
from datetime import datetime
from typing import cast
from uuid import UUID

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import EmailEvent
from libs.contracts.message import AboutContact
from libs.contracts.step_commands import (
    ApplyFlow,
    Enroll,
    FinishDelivery,
    Observe,
    Remove,
    Resume,
    RetryDelivery,
    StepCommand,
)
from libs.domain.flow import Flow
from services.step_executor.store import contacts, memberships
from services.step_executor.store.contacts import ContactKey
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.use_cases.apply_flow import apply_flow, concerns_everyone
from services.step_executor.use_cases.enroll import enroll, membership_id_for, remove
from services.step_executor.use_cases.move import finish_delivery, resume, retry_delivery
from services.step_executor.use_cases.observe import observe
from services.step_executor.use_cases.unit_of_work import UnitOfWork

Batch = Sequence[Received[StepCommand]]


async def handle_batch(
    tx: Transaction, batch: Batch, *, clock: Clock, flows: KnownFlows, members_per_page: int
) -> list[Outgoing]:
    """Act on commands; return what they caused."""
    unit = await _read(tx, batch, clock.now(), flows, members_per_page)
    for received in batch:
        _act(unit, received, members_per_page)
    await unit.save(tx)
    return unit.outgoing


def _act(unit: UnitOfWork, received: Received[StepCommand], members_per_page: int) -> None:
    match received.message:
        case Observe():
            observe(unit, cast("Received[Observe]", received))
        case Enroll():
            enroll(unit, cast("Received[Enroll]", received))
        case Remove():
            remove(unit, cast("Received[Remove]", received))
        case Resume():
            resume(unit, cast("Received[Resume]", received))
        case FinishDelivery():
            finish_delivery(unit, cast("Received[FinishDelivery]", received))
        case RetryDelivery():
            retry_delivery(unit, cast("Received[RetryDelivery]", received))
        case ApplyFlow():
            apply_flow(unit, cast("Received[ApplyFlow]", received), members_per_page)


async def _read(
    tx: Transaction, batch: Batch, now: datetime, flows: KnownFlows, members_per_page: int
) -> UnitOfWork:
    messages = [received.message for received in batch]
    wanted = {one.flow_id for one in messages if isinstance(one, Enroll | Remove | ApplyFlow)}
    known = await flows.read(tx, wanted)
    changes = [one for one in messages if isinstance(one, ApplyFlow) and one.flow_id in known]
    pages = {one.id: await _page(tx, one, known[one.flow_id], members_per_page) for one in changes}
    people = {one.contact_key for one in messages if isinstance(one, AboutContact)}
    people |= {contact for page in pages.values() for _, contact in page}
    found = await memberships.read(tx, people, _named(messages))
    known |= await flows.read(tx, {member.flow_id for member in found} - known.keys())
    pairs = {(one.flow_id, one.contact_id) for one in messages if isinstance(one, Enroll)}
    return UnitOfWork(
        now=now,
        snapshot=await contacts.read(tx, people),
        members={member.membership_id: member for member in found},
        flows=known,
        runs=await memberships.history(tx, pairs),
        pages={one: [membership_id for membership_id, _ in page] for one, page in pages.items()},
    )


async def _page(
    tx: Transaction, command: ApplyFlow, flow: Flow, at_most: int
) -> list[tuple[UUID, ContactKey]]:
    place = (command.partition, command.flow_id, command.after)
    return await memberships.page(tx, *place, everyone=concerns_everyone(flow), at_most=at_most)


def _named(messages: Sequence[StepCommand]) -> set[UUID]:
    """Name the memberships that are meant whether they are live or not."""
    named: set[UUID] = set()
    for one in messages:
        if isinstance(one, Enroll):
            named.add(membership_id_for(one))
        elif isinstance(one, Observe) and isinstance(one.event, EmailEvent):
            named |= {one.event.data.membership_id} if one.event.data.membership_id else set()
    return named
