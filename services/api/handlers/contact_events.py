"""contact.events: the built-in directory follows every fact about a contact."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from libs.chassis.exactly_once.records import Outgoing, Received
from libs.chassis.postgres.pool import Transaction
from libs.contracts.contact_events import (
    ContactCreated,
    ContactDeleted,
    ContactEvent,
    ContactUpdated,
    EmailEvent,
    Fields,
    ListContactAdded,
    ListContactRemoved,
)
from libs.domain.calendar import to_text
from services.api.store import directory
from services.api.store.directory import ContactKey, StoredContact

_CONSENT = {
    "email.bounced": "marketingEmailInvalid",
    "email.complained": "unsubscribed",
    "email.unsubscribed": "unsubscribed",
}
_BEGINNINGS = (ContactCreated, ContactUpdated, ListContactAdded)
"""Events that make an unknown contact known. Others may come long after it was deleted: whoever
opens an old mail must not bring its recipient back."""


async def handle_batch(tx: Transaction, batch: Sequence[Received[ContactEvent]]) -> list[Outgoing]:
    """Apply events in order. A list that only events have named so far becomes known."""
    events = [received.message for received in batch]
    keys = {(event.workspaceid, event.subject) for event in events}
    contacts = await directory.read_contacts(tx, keys)
    gone: set[ContactKey] = set()
    for event in events:
        key = (event.workspaceid, event.subject)
        if isinstance(event, ContactDeleted):
            contacts.pop(key, None)
            gone.add(key)
            continue
        if key not in contacts and isinstance(event, _BEGINNINGS):
            gone.discard(key)
            contacts[key] = StoredContact(*key, event.time, event.time)
        if key in contacts:
            _apply(event, contacts[key])
    await directory.write_contacts(tx, contacts.values(), sorted(gone))
    await directory.put_lists(tx, _lists(events), _latest(events))
    return []


def _apply(event: ContactEvent, contact: StoredContact) -> None:
    contact.updated_at = max(contact.updated_at, event.time)
    match event:
        case ContactCreated(data=data):
            contact.fields.setdefault("createdAt", to_text(event.time))
            _set(contact, data)
        case ContactUpdated(data=data):
            _set(contact, data)
        case ListContactAdded(data=data) if data.list_id not in contact.lists:
            contact.lists.append(data.list_id)
        case ListContactRemoved(data=data) if data.list_id in contact.lists:
            contact.lists.remove(data.list_id)
        case EmailEvent(type=kind) if kind in _CONSENT:
            contact.fields[_CONSENT[kind]] = True
        case _:
            return


def _set(contact: StoredContact, data: Fields) -> None:
    contact.fields.update(data.fields)
    contact.custom_fields.update(data.custom_fields)


def _lists(events: Sequence[ContactEvent]) -> list[tuple[UUID, UUID, str]]:
    named = {
        (event.workspaceid, event.data.list_id)
        for event in events
        if isinstance(event, ListContactAdded | ListContactRemoved)
    }
    return [(workspace_id, list_id, str(list_id)) for workspace_id, list_id in named]


def _latest(events: Sequence[ContactEvent]) -> datetime:
    return max(event.time for event in events)
