"""The built-in directory: contacts, static lists, custom fields."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.calendar import to_text
from libs.domain.contact import CustomField, FieldType, Scalar

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""


@dataclass(slots=True)
class StoredContact:
    """A contact as the directory knows it."""

    workspace_id: UUID
    contact_id: UUID
    created_at: datetime
    updated_at: datetime
    fields: dict[str, Scalar] = field(default_factory=dict)
    custom_fields: dict[str, Scalar] = field(default_factory=dict)
    lists: list[UUID] = field(default_factory=list)


async def read_contacts(tx: Reads, keys: Iterable[ContactKey]) -> dict[ContactKey, StoredContact]:
    """Read contacts; unknown ones are left out."""
    wanted = list(keys)
    rows = queries.read_contacts(
        tx,
        workspace_ids=[workspace_id for workspace_id, _ in wanted],
        contact_ids=[contact_id for _, contact_id in wanted],
    )
    found = [StoredContact(**row) async for row in rows]
    return {(contact.workspace_id, contact.contact_id): contact for contact in found}


async def write_contacts(
    tx: Transaction, contacts: Iterable[StoredContact], gone: Sequence[ContactKey]
) -> None:
    """Write contacts as they are now, and forget those that are gone."""
    if rows := [_row(contact) for contact in contacts]:
        await queries.write_contacts(tx, rows=rows)
    if gone:
        workspace_ids, contact_ids = zip(*gone, strict=True)
        await queries.forget_contacts(tx, workspace_ids=workspace_ids, contact_ids=contact_ids)


def _row(contact: StoredContact) -> dict[str, Any]:
    return {
        "workspace_id": str(contact.workspace_id),
        "contact_id": str(contact.contact_id),
        "fields": contact.fields,
        "custom_fields": contact.custom_fields,
        "lists": [str(list_id) for list_id in contact.lists],
        "created_at": to_text(contact.created_at),
        "updated_at": to_text(contact.updated_at),
    }


async def by_emails(pool: Pool, workspace_id: UUID, emails: Iterable[str]) -> dict[str, UUID]:
    """Say which contacts have these addresses, compared in lower case."""
    lowered = [email.lower() for email in emails]
    rows = queries.by_emails(pool, workspace_id=workspace_id, emails=lowered)
    return {row["email"]: row["contact_id"] async for row in rows}


async def put_lists(
    tx: Transaction, lists: Iterable[tuple[UUID, UUID, str]], now: datetime
) -> None:
    """See that lists exist, given as workspace, list and name."""
    if wanted := list(lists):
        workspace_ids, list_ids, names = zip(*wanted, strict=True)
        await queries.put_lists(
            tx, workspace_ids=workspace_ids, list_ids=list_ids, names=names, now=now
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
