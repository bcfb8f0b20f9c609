"""The built-in directory's contacts. A write is an event first; the directory follows it.

Items of one call are read, judged and published together: the number of statements does not depend
on how many there are, and Kafka is asked once. Then the directory is looked at until it shows them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.contact_events import (
    ContactCreated,
    ContactDeleted,
    ContactUpdated,
    Fields,
)
from libs.domain.contact import Scalar
from services.api.store import directory
from services.api.store.address_claims import Claim, Claims
from services.api.store.directory import StoredContact
from services.api.use_cases import addresses, custom_fields
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.directory_wait import until_shown
from services.api.use_cases.problems import Problem, contact_exists, contact_not_found

SOURCE = "/millrace/api"
Outcome = UUID | Problem
"""What became of one item: the contact, or why it was refused."""


@dataclass(frozen=True, slots=True)
class ContactRef:
    """Which contact is meant: by id, or by an address or phone number of its."""

    contact_id: UUID | None = None
    email: str | None = None
    phone: str | None = None


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact to create: its fields by camelCase key, its custom fields by api name."""

    contact_id: UUID | None
    fields: Mapping[str, Scalar]
    custom_fields: Mapping[str, Scalar]

    @property
    def email(self) -> str:
        """Its address as addresses are compared: in lower case."""
        return addresses.lowered(self.fields)


@dataclass(frozen=True, slots=True)
class ContactChanges:
    """Fields of a contact to set; null empties one."""

    contact: ContactRef
    fields: Mapping[str, Scalar] = field(default_factory=dict)
    custom_fields: Mapping[str, Scalar] = field(default_factory=dict)


async def create(
    app_context: AppContext, workspace_id: UUID, items: Sequence[NewContact]
) -> list[Outcome]:
    """Create contacts, each accepted or refused by itself; an address or id can be had only once.

    Raises:
        Problem: If Kafka cannot be reached; some may have been created.
    """
    known = await custom_fields.definitions(app_context, workspace_id)
    faults = [_fault(known, item.custom_fields) for item in items]
    ids = [item.contact_id or uuid4() for item in items]
    wanted = {
        item.email: Claim(item.email, contact_id, item.contact_id is not None)
        for item, contact_id, fault in reversed(list(zip(items, ids, faults, strict=True)))
        if item.email and not fault
    }
    async with addresses.claimed(app_context, workspace_id, wanted.values()) as held:
        taken = await _taken(app_context, workspace_id, items, held.others)
        outcomes = [
            fault or _created(item, held.mine.get(item.email, contact_id), taken)
            for item, contact_id, fault in zip(items, ids, faults, strict=True)
        ]
        events = [
            ContactCreated(**envelope(app_context, workspace_id, outcome), data=_data(item))
            for item, outcome in zip(items, outcomes, strict=True)
            if isinstance(outcome, UUID)
        ]
        await app_context.publish_all(events)
        shown = {one.subject: _is_there for one in events}
        held.shown = await until_shown(app_context, workspace_id, shown)
    return outcomes


def _created(item: NewContact, contact_id: UUID, taken: dict[str | UUID, UUID | None]) -> Outcome:
    """Say whether a contact may be created, and remember that its address and id are taken."""
    names: list[str | UUID] = [one for one in (item.email, item.contact_id) if one]
    for name in names:
        if name in taken:
            return contact_exists(taken[name])
    taken |= dict.fromkeys([*names, contact_id], contact_id)
    return contact_id


async def _taken(
    app_context: AppContext, workspace_id: UUID, items: Sequence[NewContact], others: Claims
) -> dict[str | UUID, UUID | None]:
    """Say which of these contacts' addresses and ids are had already, or will be in a moment."""
    emails = {item.email for item in items if item.email}
    ids = [(workspace_id, item.contact_id) for item in items if item.contact_id]
    by_email = await directory.by_emails(app_context.pool, workspace_id, emails)
    by_id = await directory.read_contacts(app_context.pool, ids)
    taken: dict[str | UUID, UUID | None] = {}
    taken.update(others.items())
    taken.update((email, found[0]) for email, found in by_email.items())
    taken.update((contact_id, contact_id) for _, contact_id in by_id)
    return taken


async def update(
    app_context: AppContext, workspace_id: UUID, items: Sequence[ContactChanges]
) -> list[Outcome]:
    """Set fields of contacts, each accepted or refused by itself; later items go over earlier ones.

    Raises:
        Problem: If Kafka cannot be reached; some may have been changed.
    """
    known = await custom_fields.definitions(app_context, workspace_id)
    found = await find(app_context, workspace_id, [item.contact for item in items])
    judged = [
        _fault(known, item.custom_fields) or outcome
        for item, outcome in zip(items, found, strict=True)
    ]
    moving = {
        addresses.lowered(item.fields): Claim(addresses.lowered(item.fields), outcome, chosen=True)
        for item, outcome in reversed(list(zip(items, judged, strict=True)))
        if isinstance(outcome, UUID) and addresses.lowered(item.fields)
    }
    async with addresses.claimed(app_context, workspace_id, moving.values()) as held:
        claims = {**held.others, **held.mine}
        owners = await addresses.owners(app_context, workspace_id, moving, claims)
        outcomes = [
            _with_address(item, outcome, owners)
            for item, outcome in zip(items, judged, strict=True)
        ]
        changes = [
            (outcome, Fields(fields=dict(item.fields), custom_fields=dict(item.custom_fields)))
            for item, outcome in zip(items, outcomes, strict=True)
            if isinstance(outcome, UUID) and (item.fields or item.custom_fields)
        ]
        held.shown = await _publish_changes(app_context, workspace_id, changes)
    return outcomes


def _with_address(item: ContactChanges, outcome: Outcome, owners: Claims) -> Outcome:
    """Refuse an address that is another contact's."""
    owner = owners.get(addresses.lowered(item.fields))
    if isinstance(outcome, UUID) and owner is not None and owner != outcome:
        return contact_exists(owner)
    return outcome


async def _publish_changes(
    app_context: AppContext, workspace_id: UUID, changes: Sequence[tuple[UUID, Fields]]
) -> bool:
    """Publish changes of contacts; say whether the directory shows them."""
    await app_context.publish_all(
        [
            ContactUpdated(**envelope(app_context, workspace_id, contact_id), data=data)
            for contact_id, data in changes
        ]
    )
    at_last: dict[UUID, Fields] = {}
    for contact_id, data in changes:
        before = at_last.get(contact_id, Fields())
        at_last[contact_id] = Fields(
            fields={**before.fields, **data.fields},
            custom_fields={**before.custom_fields, **data.custom_fields},
        )
    shown = {contact_id: _holding(data) for contact_id, data in at_last.items()}
    return await until_shown(app_context, workspace_id, shown)


async def delete(
    app_context: AppContext, workspace_id: UUID, items: Sequence[ContactRef]
) -> list[Outcome]:
    """Delete contacts; their memberships end, and what is held of the persons is erased.

    Raises:
        Problem: If Kafka cannot be reached; some may have been deleted.
    """
    outcomes = await find(app_context, workspace_id, items)
    gone = dict.fromkeys(one for one in outcomes if isinstance(one, UUID))
    await app_context.publish_all(
        [ContactDeleted(**envelope(app_context, workspace_id, contact_id)) for contact_id in gone]
    )
    await until_shown(app_context, workspace_id, dict.fromkeys(gone, _is_gone))
    return outcomes


async def read(app_context: AppContext, workspace_id: UUID, contact_id: UUID) -> StoredContact:
    """Read a contact.

    Raises:
        Problem: If there is none.
    """
    key = (workspace_id, contact_id)
    contact = (await directory.read_contacts(app_context.pool, [key])).get(key)
    if contact is None:
        raise contact_not_found()
    return contact


async def find(
    app_context: AppContext, workspace_id: UUID, wanted: Sequence[ContactRef]
) -> list[Outcome]:
    """Say which contact each of these means, or why it means none."""
    ids = {(workspace_id, one.contact_id) for one in wanted if one.contact_id}
    emails = {one.email.lower() for one in wanted if one.email}
    phones = {one.phone for one in wanted if one.phone}
    there = {key[1] for key in await directory.read_contacts(app_context.pool, ids)} if ids else ()
    by_email = await directory.by_emails(app_context.pool, workspace_id, emails) if emails else {}
    by_phone = await directory.by_phones(app_context.pool, workspace_id, phones) if phones else {}

    def meant(one: ContactRef) -> Outcome:
        if one.contact_id:
            return one.contact_id if one.contact_id in there else contact_not_found()
        known = by_email.get(one.email.lower()) if one.email else by_phone.get(one.phone or "")
        return _only(known or [])

    return [meant(one) for one in wanted]


def _only(found: Sequence[UUID]) -> Outcome:
    if len(found) > 1:
        message = "Several contacts have this address or number; name one by its contact_id"
        return Problem("conflict", "contact_ambiguous", message)
    return found[0] if found else contact_not_found()


def _fault(known: custom_fields.Definitions, values: Mapping[str, Scalar]) -> Problem | None:
    try:
        custom_fields.check_values(known, values)
    except Problem as problem:
        return problem
    return None


def _data(item: NewContact) -> Fields:
    return Fields(fields=dict(item.fields), custom_fields=dict(item.custom_fields))


def _is_there(contact: StoredContact | None) -> bool:
    return contact is not None


def _is_gone(contact: StoredContact | None) -> bool:
    return contact is None


def _holding(data: Fields) -> Any:
    """Give what tells whether a contact has these values; one that is gone never will."""

    def holds(contact: StoredContact | None) -> bool:
        return contact is None or (
            data.fields.items() <= contact.snapshot.fields.items()
            and data.custom_fields.items() <= contact.snapshot.custom_fields.items()
        )

    return holds


def envelope(
    app_context: AppContext, workspace_id: UUID, contact_id: UUID, event_id: str | None = None
) -> dict[str, Any]:
    """Give what every event about a contact has; the same id is the same event."""
    return {
        "id": event_id or str(uuid4()),
        "source": SOURCE,
        "subject": contact_id,
        "time": app_context.clock.now(),
        "workspaceid": workspace_id,
    }
