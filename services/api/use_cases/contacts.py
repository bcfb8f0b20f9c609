"""The built-in directory. A write is an event first; the directory follows it, like everyone."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

from libs.contracts.contact_events import (
    ContactCreated,
    ContactDeleted,
    ContactUpdated,
    Fields,
    ListContactAdded,
    ListContactRemoved,
    ListRef,
)
from libs.domain.contact import Scalar
from services.api.store import directory
from services.api.store.directory import StoredContact
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.problems import Problem, contact_not_found

SOURCE = "/millrace/api"
_LOOK_SECONDS = 0.05


@dataclass(frozen=True, slots=True)
class NewContact:
    """A contact to create: its fields by camelCase key, its custom fields by api name."""

    contact_id: UUID | None
    fields: dict[str, Scalar]
    custom_fields: dict[str, Scalar]

    @property
    def email(self) -> str:
        """Its address as addresses are compared: in lower case."""
        return str(self.fields.get("email") or "").lower()

    def names(self) -> list[str | UUID]:
        """Give everything another contact must not have too."""
        return [name for name in (self.email, self.contact_id) if name]


async def create(
    app_context: AppContext, workspace_id: UUID, contacts: Sequence[NewContact]
) -> list[UUID | Problem]:
    """Create contacts, each accepted or refused by itself; an address or id can be had only once.

    Raises:
        Problem: If Kafka cannot be reached; some may have been created.
    """
    taken = await _taken(app_context, workspace_id, contacts)
    outcomes: list[UUID | Problem] = []
    for contact in contacts:
        if known := next((taken[name] for name in contact.names() if name in taken), None):
            outcomes.append(_exists_already(known))
            continue
        contact_id = contact.contact_id or uuid4()
        data = Fields(fields=contact.fields, custom_fields=contact.custom_fields)
        await app_context.publish(
            ContactCreated(**_envelope(app_context, workspace_id, contact_id), data=data)
        )
        outcomes.append(contact_id)
        taken |= dict.fromkeys(contact.names(), contact_id)
    created = [(workspace_id, one) for one in outcomes if isinstance(one, UUID)]
    await _until(app_context, lambda: _all_known(app_context, created))
    return outcomes


async def _taken(
    app_context: AppContext, workspace_id: UUID, contacts: Sequence[NewContact]
) -> dict[str | UUID, UUID]:
    """Say which of these contacts' addresses and ids the directory has already."""
    emails = [contact.email for contact in contacts if contact.email]
    ids = [(workspace_id, contact.contact_id) for contact in contacts if contact.contact_id]
    by_email = await directory.by_emails(app_context.pool, workspace_id, emails)
    by_id = await directory.read_contacts(app_context.pool, ids)
    pairs: list[tuple[str | UUID, UUID]] = [*by_email.items(), *((one, one) for _, one in by_id)]
    return dict(pairs)


def _exists_already(contact_id: UUID) -> Problem:
    message = "A contact with this email or id exists already"
    details = {"contact_id": str(contact_id)}
    return Problem("conflict", "contact_already_exists", message, details)


async def read(app_context: AppContext, workspace_id: UUID, contact_id: UUID) -> StoredContact:
    """Read a contact.

    Raises:
        Problem: If there is none.
    """
    contact = await _found(app_context, workspace_id, contact_id)
    if contact is None:
        raise contact_not_found()
    return contact


async def update(
    app_context: AppContext, workspace_id: UUID, contact_id: UUID, data: Fields
) -> None:
    """Set fields of a contact; null empties one.

    Raises:
        Problem: If there is no such contact, or Kafka cannot be reached.
    """
    await read(app_context, workspace_id, contact_id)
    await app_context.publish(
        ContactUpdated(**_envelope(app_context, workspace_id, contact_id), data=data)
    )

    async def shown() -> bool:
        contact = await _found(app_context, workspace_id, contact_id)
        return contact is None or _holds(contact, data)

    await _until(app_context, shown)


async def delete(app_context: AppContext, workspace_id: UUID, contact_id: UUID) -> None:
    """Delete a contact; its memberships end, and what is held of the person is erased.

    Raises:
        Problem: If there is no such contact, or Kafka cannot be reached.
    """
    await read(app_context, workspace_id, contact_id)
    await app_context.publish(ContactDeleted(**_envelope(app_context, workspace_id, contact_id)))

    async def gone() -> bool:
        return await _found(app_context, workspace_id, contact_id) is None

    await _until(app_context, gone)


async def put_on_list(
    app_context: AppContext, workspace_id: UUID, list_id: UUID, contact_id: UUID
) -> None:
    """Put a contact on a static list. Doing so twice changes nothing and fires no trigger.

    Raises:
        Problem: If the list or the contact does not exist, or Kafka cannot be reached.
    """
    await _change_list(app_context, workspace_id, (list_id, contact_id), on=True)


async def take_off_list(
    app_context: AppContext, workspace_id: UUID, list_id: UUID, contact_id: UUID
) -> None:
    """Take a contact off a static list.

    Raises:
        Problem: As `put_on_list`.
    """
    await _change_list(app_context, workspace_id, (list_id, contact_id), on=False)


async def _change_list(
    app_context: AppContext, workspace_id: UUID, pair: tuple[UUID, UUID], *, on: bool
) -> None:
    list_id, contact_id = pair
    lists = await directory.lists(app_context.pool, workspace_id)
    if list_id not in {one["list_id"] for one in lists}:
        raise Problem("not_found", "list_not_found", "List not found")
    contact = await read(app_context, workspace_id, contact_id)
    if (list_id in contact.snapshot.lists) is on:
        return
    kind = ListContactAdded if on else ListContactRemoved
    envelope = _envelope(app_context, workspace_id, contact_id)
    await app_context.publish(kind(**envelope, data=ListRef(list_id=list_id)))

    async def shown() -> bool:
        contact = await _found(app_context, workspace_id, contact_id)
        return contact is None or (list_id in contact.snapshot.lists) is on

    await _until(app_context, shown)


async def _found(
    app_context: AppContext, workspace_id: UUID, contact_id: UUID
) -> StoredContact | None:
    key = (workspace_id, contact_id)
    return (await directory.read_contacts(app_context.pool, [key])).get(key)


def _holds(contact: StoredContact, data: Fields) -> bool:
    """Say whether a contact has these values."""
    return (
        data.fields.items() <= contact.snapshot.fields.items()
        and data.custom_fields.items() <= contact.snapshot.custom_fields.items()
    )


def _envelope(app_context: AppContext, workspace_id: UUID, contact_id: UUID) -> dict[str, Any]:
    return {
        "id": str(uuid4()),
        "source": SOURCE,
        "subject": contact_id,
        "time": app_context.clock.now(),
        "workspaceid": workspace_id,
    }


async def _all_known(app_context: AppContext, keys: Sequence[tuple[UUID, UUID]]) -> bool:
    return len(await directory.read_contacts(app_context.pool, keys)) == len(set(keys))


async def _until(app_context: AppContext, shown: Callable[[], Awaitable[bool]]) -> None:
    """Wait, not for ever, until our own directory shows what was written: read your writes."""
    try:
        async with asyncio.timeout(app_context.settings.directory_wait_seconds):
            while not await shown():  # noqa: ASYNC110  (another process may be the one to write it)
                await asyncio.sleep(_LOOK_SECONDS)
    except TimeoutError:
        return
