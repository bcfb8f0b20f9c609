"""An event about a contact: remember it, see what it means for the contact's runs, start flows."""

from collections.abc import Mapping
from dataclasses import replace
from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.chassis.outages import is_outage
from libs.contracts.contact_events import (
    ContactDeleted,
    ContactEvent,
    ContactMerged,
    EmailEvent,
    change_of,
)
from libs.contracts.message import derived_id
from libs.contracts.step_commands import ApplyFlow, FlowStart, Observe
from libs.domain.contact import ContactSnapshot, EmailMetric
from libs.domain.contact_changes import fold
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.walk import WalkResult, drop
from services.step_executor.use_cases.enroll import EnrollRequest, start
from services.step_executor.use_cases.firing import known_before, really_fires
from services.step_executor.use_cases.tell_dates import tell_dates
from services.step_executor.use_cases.unit_of_work import UnitOfWork


class NotSupported(Exception):  # noqa: N818  (it goes to the dead-letter topic, with this name)
    """Events of this type are understood but not acted on yet; better refused than ignored."""


_LONGEST_URL = 2000
_METRICS: Mapping[str, EmailMetric] = {
    "email.delivered": "delivered",
    "email.opened": "opened",
    "email.clicked": "clicked",
    "email.bounced": "bounced",
    "email.unsubscribed": "unsubscribed",
}


def observe(unit: UnitOfWork, received: Received[Observe]) -> None:
    """Take in an event, then start the flows it starts.

    Whatever goes wrong with one of the contact's runs or with one start costs that one alone.

    Raises:
        NotSupported: If it is a merge.
        NotYet: If a definition that it starts has not arrived here.
    """
    command = received.message
    known = known_before(unit, command)
    if command.piece == 0:
        _take_in(unit, received, command.event)
    started: set[UUID] = set()
    for flow_start in command.starts:
        if flow_start.flow_id not in started and _start(unit, received, flow_start, known):
            started.add(flow_start.flow_id)


def _take_in(unit: UnitOfWork, received: Received[Observe], event: ContactEvent) -> None:
    if isinstance(event, ContactMerged):
        raise NotSupported("contact.merged")
    if isinstance(event, EmailEvent):
        _note_engagement(unit, received, event)
    contact = received.message.contact_key
    known = unit.contacts.get(contact)
    after = fold(contact[1], known, change_of(event))
    if after is not None and after is not known:
        unit.know(contact, after)
        tell_dates(unit, received, known, after)
    if isinstance(event, ContactDeleted):
        _drop_all(unit, received)
    elif after is not known:
        _drop_disqualified(unit, received)


def _start(
    unit: UnitOfWork,
    received: Received[Observe],
    flow_start: FlowStart,
    known: ContactSnapshot | None,
) -> bool:
    """Start a flow if its trigger really fires; say whether that was tried."""
    request = EnrollRequest.of_start(received.message, flow_start)
    try:
        if not really_fires(unit, received.message, flow_start, known):
            return False
        start(unit, received.partition, request)
    except Exception as error:
        if is_outage(error):
            raise
        unit.condemn(received, request.as_command(received.message.time), error)
    return True


def _drop_all(unit: UnitOfWork, received: Received[Observe]) -> None:
    """End every run of a contact that is gone; nothing of what it held goes on with it."""
    for membership in unit.live_memberships_of(received.message.contact_key):
        bare = replace(membership, dynamic_context={}, engagement={})
        unit.apply(received.partition, drop(bare, "contact_deleted", unit.now))


def _note_engagement(unit: UnitOfWork, received: Received[Observe], event: EmailEvent) -> None:
    """Remember what became of a mail of a run; the first time of each metric is in its timeline."""
    metric, where = _METRICS.get(event.type), event.data
    membership = unit.memberships.get(where.membership_id) if where.membership_id else None
    if metric is None or membership is None or where.step_id is None:
        return
    contact = received.message.contact_key
    if membership.contact_key != contact or unit.known_contact(contact) is None:
        return
    noted = membership.note(where.step_id, metric, event.time)
    if noted is not membership:
        unit.apply(received.partition, _with_entry(noted, event, metric))


def _with_entry(membership: Membership, event: EmailEvent, metric: EmailMetric) -> WalkResult:
    details = {"url": event.data.url[:_LONGEST_URL]} if event.data.url else {}
    entry = TimelineEntry(f"email_{metric}", event.time, event.data.step_id, details=details)
    noted = replace(membership, sequence=membership.sequence + 1)
    return WalkResult(noted, timeline=(entry,))


def _drop_disqualified(unit: UnitOfWork, received: Received[Observe]) -> None:
    for membership in unit.live_memberships_of(received.message.contact_key):
        try:
            _drop_if_disqualified(unit, received.partition, membership)
        except Exception as error:
            if is_outage(error):
                raise
            unit.condemn(received, _judge_again(unit, received, membership), error)


def _drop_if_disqualified(unit: UnitOfWork, partition: int, membership: Membership) -> None:
    flow = unit.flows.get(membership.flow_id)
    reason = flow and flow.refuses("event", unit.contact_of(membership), unit.now)
    if reason:
        unit.apply(partition, drop(membership, reason, unit.now))


def _judge_again(
    unit: UnitOfWork, received: Received[Observe], membership: Membership
) -> ApplyFlow:
    """Write the command that judges the flow's members here once more, for who replays it."""
    flow = unit.flow(membership.flow_id)
    return ApplyFlow(
        id=derived_id("judge", received.message.id, membership.membership_id),
        time=unit.now,
        workspace_id=membership.workspace_id,
        flow_id=flow.flow_id,
        version=flow.version,
        partition=received.partition,
    )
