"""An event about a contact: remember it, see what it means for the contact's runs, start flows."""

from dataclasses import replace
from uuid import UUID

from libs.chassis.exactly_once.records import Received
from libs.chassis.outages import is_outage
from libs.contracts.contact_events import (
    ContactEvent,
    ContactMerged,
    EmailEvent,
)
from libs.contracts.message import derived_id
from libs.contracts.step_commands import ApplyFlow, FlowStart, Observe
from libs.domain.contact import ContactSnapshot, EmailMetric
from libs.domain.contact_changes import fold
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.walk import WalkResult, drop
from libs.domain.walk_events import CONTACT_CHANGED
from services.step_executor.use_cases.activity_log import done_in
from services.step_executor.use_cases.enroll import EnrollRequest, start
from services.step_executor.use_cases.firing import known_before, really_fires
from services.step_executor.use_cases.needed_memberships import engaged_by, touched_by
from services.step_executor.use_cases.proven_deliveries import settle_proven
from services.step_executor.use_cases.tell_dates import tell_dates
from services.step_executor.use_cases.unit_of_work import UnitOfWork


class NotSupported(Exception):  # noqa: N818  (it goes to the dead-letter topic, with this name)
    """Events of this type are understood but not acted on yet; better refused than ignored."""


_LONGEST_URL = 2000


def observe(unit: UnitOfWork, received: Received[Observe]) -> None:
    """Take in an event, then start the flows it starts.

    Whatever goes wrong with one of the contact's runs or with one start costs that one alone.

    Raises:
        NotSupported: If it is a merge.
        NotYet: If a definition that it starts has not arrived here.
    """
    command = received.message
    known = known_before(unit, command) if command.starts else None
    if command.piece == 0:
        _take_in(unit, received, command.event)
    started: set[UUID] = set()
    for flow_start in command.starts:
        if flow_start.flow_id not in started and _start(unit, received, flow_start, known):
            started.add(flow_start.flow_id)


def _take_in(unit: UnitOfWork, received: Received[Observe], event: ContactEvent) -> None:
    if isinstance(event, ContactMerged):
        raise NotSupported("contact.merged")
    is_news = False
    if isinstance(event, EmailEvent):
        is_news = _note_engagement(unit, received, event)
        settle_proven(unit, received, event)
    contact = received.message.contact_key
    known = unit.contacts.get(contact)
    after = fold(contact[1], known, event.change)
    if after is not None and after is not known:
        unit.know(contact, after)
        tell_dates(unit, received, known, after)
        is_news = True
    if after is not None and not after.deleted and (done := done_in(received.message, unit.now)):
        is_news |= unit.activity.add(done)
    if after is not None and after.deleted:
        _drop_all(unit, received)
    elif is_news:
        _tell_memberships(unit, received, event)


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


def _note_engagement(unit: UnitOfWork, received: Received[Observe], event: EmailEvent) -> bool:
    """Remember what became of a mail of a run; the first time of each metric is in its timeline.

    Returns:
        Whether it is news.
    """
    engaged, membership_id = engaged_by(event), event.data.membership_id
    membership = unit.memberships.get(membership_id) if membership_id else None
    if engaged is None or membership is None:
        return False
    contact = received.message.contact_key
    if membership.contact_key != contact or unit.known_contact(contact) is None:
        return False
    noted = membership.note(engaged.step_id, engaged.metric, event.time)
    if noted is membership:
        return False
    unit.apply(received.partition, _with_entry(noted, event, engaged.metric))
    return True


def _with_entry(membership: Membership, event: EmailEvent, metric: EmailMetric) -> WalkResult:
    details = {"url": event.data.url[:_LONGEST_URL]} if event.data.url else {}
    entry = TimelineEntry(f"email_{metric}", event.time, event.data.step_id, details=details)
    noted = replace(membership, sequence=membership.sequence + 1)
    return WalkResult(noted, timeline=(entry,))


def _tell_memberships(unit: UnitOfWork, received: Received[Observe], event: ContactEvent) -> None:
    """Let the runs hear of it that listen to what has changed, as they stand in memory."""
    live = unit.live_memberships_of(received.message.contact_key)
    keys = touched_by(event) if live else frozenset()
    for membership in live:
        if not membership.hears(keys):
            continue
        try:
            _tell(unit, received.partition, membership)
        except Exception as error:
            if is_outage(error):
                raise
            unit.condemn(received, _judge_again(unit, received, membership), error)


def _tell(unit: UnitOfWork, partition: int, membership: Membership) -> None:
    flow = unit.flows.get(membership.flow_id)
    if flow is None:
        return
    if reason := flow.refuses("event", unit.contact_of(membership), unit.now):
        unit.apply(partition, drop(membership, reason, unit.now))
    elif membership.waiting_on == "event":
        unit.apply(partition, unit.walk(flow, membership, CONTACT_CHANGED))
    else:
        listening = membership.listen(flow.listens_at(membership.step_id))
        unit.apply(partition, WalkResult(listening))


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
