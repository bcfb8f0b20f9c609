"""The built-in directory: contacts, static lists, custom fields."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.contact import ContactSnapshot, CustomField, FieldType

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""
ListKey = tuple[UUID, UUID]
"""Workspace and list."""


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact as the directory knows it, and when it came to be known and last changed."""

    workspace_id: UUID
    snapshot: ContactSnapshot
    created_at: datetime
    updated_at: datetime

    @property
    def key(self) -> ContactKey:
        """Workspace and contact."""
        return self.workspace_id, self.snapshot.contact_id


def columns_of(contacts: Iterable[ContactKey]) -> dict[str, list[UUID]]:
    """Give the keys of contacts as two columns."""
    keys = list(contacts)
    return {
        "workspace_ids": [workspace_id for workspace_id, _ in keys],
        "contact_ids": [contact_id for _, contact_id in keys],
    }


async def hold_contacts(tx: Transaction, keys: Iterable[ContactKey]) -> None:
    """Let nobody else change contacts until the transaction ends, whether they are there or not.

    Upstream may put events of one contact into several partitions, and these have several owners.
    """
    await queries.hold_contacts(tx, **columns_of(keys))


async def read_contacts(tx: Reads, keys: Iterable[ContactKey]) -> dict[ContactKey, StoredContact]:
    """Read contacts; unknown ones and those that are gone are left out."""
    rows = queries.read_contacts(tx, **columns_of(keys))
    found = [_contact(row) async for row in rows]
    return {contact.key: contact for contact in found}


def _contact(row: Any) -> StoredContact:
    snapshot = ContactSnapshot(
        row["contact_id"], row["fields"], row["custom_fields"], frozenset(row["lists"])
    )
    return StoredContact(row["workspace_id"], snapshot, row["created_at"], row["updated_at"])


async def write_contacts(tx: Transaction, contacts: Sequence[StoredContact]) -> None:
    """Write contacts as they are now."""
    if contacts:
        snapshots = [one.snapshot for one in contacts]
        await queries.write_contacts(
            tx,
            **columns_of(one.key for one in contacts),
            fields=[to_json(one.fields).decode() for one in snapshots],
            custom_fields=[to_json(one.custom_fields).decode() for one in snapshots],
            # An array of arrays would have to be a rectangle.
            lists=[f"{{{','.join(sorted(map(str, one.lists)))}}}" for one in snapshots],
            created_ats=[one.created_at for one in contacts],
            updated_ats=[one.updated_at for one in contacts],
        )


async def delete_contacts(tx: Transaction, keys: Sequence[ContactKey]) -> None:
    """Delete contacts."""
    if keys:
        await queries.delete_contacts(tx, **columns_of(keys))


async def by_emails(pool: Pool, workspace_id: UUID, emails: Iterable[str]) -> dict[str, UUID]:
    """Say which contacts have these addresses, compared in lower case."""
    lowered = [email.lower() for email in emails]
    rows = queries.by_emails(pool, workspace_id=workspace_id, emails=lowered)
    return {row["email"]: row["contact_id"] async for row in rows}


async def known_lists(tx: Transaction, lists: Collection[ListKey]) -> set[ListKey]:
    """Say which of these lists exist."""
    rows = queries.known_lists(
        tx, workspace_ids=[one for one, _ in lists], list_ids=[one for _, one in lists]
    )
    return {(row["workspace_id"], row["list_id"]) async for row in rows}


async def put_lists(tx: Transaction, named: Mapping[ListKey, datetime]) -> None:
    """See that lists exist that only events have named so far, and when they did."""
    if named:
        await queries.put_lists(
            tx,
            workspace_ids=[one for one, _ in named],
            list_ids=[one for _, one in named],
            named_ats=list(named.values()),
        )


async def name_list(
    tx: Transaction, workspace_id: UUID, list_id: UUID, name: str, now: datetime
) -> dict[str, Any]:
    """See that a list exists and has a name; give it as it is then."""
    row = await queries.name_list(
        tx, workspace_id=workspace_id, list_id=list_id, name=name, now=now
    )
    return dict(row)


async def lists(tx: Reads, workspace_id: UUID) -> list[dict[str, Any]]:
    """Give every list of a workspace."""
    return [dict(row) async for row in queries.lists(tx, workspace_id=workspace_id)]


async def add_custom_field(
    tx: Transaction, workspace_id: UUID, field_id: UUID, definition: dict[str, str]
) -> bool:
    """Add a custom field; False if its api name is taken."""
    added = await queries.add_custom_field(
        tx, custom_field_id=field_id, workspace_id=workspace_id, **definition
    )
    return added is not None


async def custom_fields(tx: Reads, workspace_id: UUID) -> list[dict[str, Any]]:
    """Give every custom field of a workspace."""
    return [dict(row) async for row in queries.custom_fields(tx, workspace_id=workspace_id)]


async def custom_field_definitions(tx: Reads, workspace_id: UUID) -> dict[UUID, CustomField]:
    """Give the custom fields as rules use them, by id."""
    return {
        row["custom_field_id"]: CustomField(api_name=row["api_name"], type=FieldType(row["type"]))
        for row in await custom_fields(tx, workspace_id)
    }
