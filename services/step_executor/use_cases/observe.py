"""A fact about a contact: remember it, and see what it means for the contact's runs."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime

from libs.chassis.exactly_once.records import Received
from libs.contracts.contact_events import (
    ContactCreated,
    ContactDeleted,
    ContactEvent,
    ContactMerged,
    ContactUpdated,
    EmailEvent,
    Fields,
    ListContactAdded,
    ListContactRemoved,
)
from libs.contracts.step_commands import Observe
from libs.domain.calendar import to_text
from libs.domain.contact import ContactSnapshot, EmailMetric, Scalar
from libs.domain.membership import Membership, TimelineEntry
from libs.domain.walk import WalkResult, drop
from services.step_executor.use_cases.unit_of_work import UnitOfWork


class NotSupported(Exception):  # noqa: N818  (it goes to the dead-letter topic, with this name)
    """Events of this type are understood but not acted on yet; better refused than ignored."""


_METRICS: Mapping[str, EmailMetric] = {
    "email.delivered": "delivered",
    "email.opened": "opened",
    "email.clicked": "clicked",
    "email.bounced": "bounced",
    "email.unsubscribed": "unsubscribed",
}
_CONSENT: Mapping[str, dict[str, Scalar]] = {
    "email.bounced": {"marketingEmailInvalid": True},
    "email.complained": {"unsubscribed": True},
    "email.unsubscribed": {"unsubscribed": True},
}
"""What an event says about whether the contact may be mailed from now on."""


_BEGINNINGS = (ContactCreated, ContactUpdated, ListContactAdded, ContactMerged)
"""Events that make an unknown contact known (a merge is refused). Whoever opens an old mail of a
deleted contact must not bring it back."""


def observe(unit: UnitOfWork, received: Received[Observe]) -> None:
    """Take in a fact.

    Raises:
        NotSupported: If it is a merge.
    """
    event = received.message.event
    if isinstance(event, ContactDeleted):
        _delete(unit, received)
        return
    if isinstance(event, EmailEvent):
        _note(unit, received, event)
    contact = received.message.contact_key
    if contact in unit.snapshot or isinstance(event, _BEGINNINGS):
        unit.know(contact, _facts_after(event, unit.facts_of(contact)))
    _drop_disqualified(unit, received)


def _facts_after(event: ContactEvent, snapshot: ContactSnapshot) -> ContactSnapshot:
    match event:
        case ContactCreated(data=data):
            known = {"createdAt": to_text(event.time), **snapshot.fields}
            return _with_fields(replace(snapshot, fields=known), data, event.time)
        case ContactUpdated(data=data):
            return _with_fields(snapshot, data, event.time)
        case ListContactAdded(data=data):
            return replace(snapshot, lists=snapshot.lists | {data.list_id})
        case ListContactRemoved(data=data):
            return replace(snapshot, lists=snapshot.lists - {data.list_id})
        case EmailEvent(type=kind):
            return replace(snapshot, fields={**snapshot.fields, **_CONSENT.get(kind, {})})
        case ContactMerged():
            raise NotSupported("contact.merged")
        case _:
            return snapshot


def _with_fields(snapshot: ContactSnapshot, data: Fields, at: datetime) -> ContactSnapshot:
    fields = {**snapshot.fields, "updatedAt": to_text(at), **data.fields}
    return replace(
        snapshot, fields=fields, custom_fields={**snapshot.custom_fields, **data.custom_fields}
    )


def _delete(unit: UnitOfWork, received: Received[Observe]) -> None:
    contact = received.message.contact_key
    for member in unit.live_memberships_of(contact):
        unit.apply(received, drop(member, "contact_deleted", unit.now))
    unit.forget(contact)


def _note(unit: UnitOfWork, received: Received[Observe], event: EmailEvent) -> None:
    """Remember what became of a mail of a run; the first time of each metric is in its timeline."""
    metric, where = _METRICS.get(event.type), event.data
    member = unit.members.get(where.membership_id) if where.membership_id else None
    if metric is None or member is None or where.step_id is None:
        return
    if member.contact_key != received.message.contact_key:
        return
    noted = member.note(where.step_id, metric, event.time)
    if noted is not member:
        unit.apply(received, _with_trail(noted, event, metric))


def _with_trail(member: Membership, event: EmailEvent, metric: EmailMetric) -> WalkResult:
    details = {"url": event.data.url} if event.data.url else {}
    timeline = TimelineEntry(f"email_{metric}", event.time, event.data.step_id, details=details)
    return WalkResult(replace(member, sequence=member.sequence + 1), timeline=(timeline,))


def _drop_disqualified(unit: UnitOfWork, received: Received[Observe]) -> None:
    contact = received.message.contact_key
    snapshot = unit.facts_of(contact)
    for member in unit.live_memberships_of(contact):
        flow = unit.flows.get(member.flow_id)
        if flow and flow.disqualifies(snapshot, unit.now):
            unit.apply(received, drop(member, "disqualified", unit.now))
