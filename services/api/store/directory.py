"""The built-in directory: contacts, who is on which list, and what all services ask of it."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from pydantic_core import to_json

from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.contact import ContactSnapshot, CustomField, FieldType
from services.api.store.pages import read_page

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""
ListKey = tuple[UUID, UUID]
"""Workspace and list."""
ListMember = tuple[UUID, UUID, UUID]
"""Workspace, list and contact."""
Place = tuple[datetime, UUID]
"""Where a contact stands among all: when it was created, and its id."""


@dataclass(frozen=True, slots=True)
class StoredContact:
    """A contact as the directory knows it, and when it came to be known and last changed.

    Attributes:
        workspace_id: Whose contact it is.
        snapshot: What is known of it.
        created_at: When it came to be known.
        updated_at: When it last changed.
        revision: A number that every write of a contact gets anew; 0 before it is written.
    """

    workspace_id: UUID
    snapshot: ContactSnapshot
    created_at: datetime
    updated_at: datetime
    revision: int = 0

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
    found = [contact_of(row) async for row in rows]
    return {contact.key: contact for contact in found}


def contact_of(row: Any) -> StoredContact:
    """Read a row of the contacts' table."""
    snapshot = ContactSnapshot(
        row["contact_id"],
        row["fields"],
        row["custom_fields"],
        frozenset(row["lists"]),
        times=row["times"],
    )
    return StoredContact(
        row["workspace_id"], snapshot, row["created_at"], row["updated_at"], row["revision"]
    )


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
            times=[to_json(one.times).decode() for one in snapshots],
            created_ats=[one.created_at for one in contacts],
            updated_ats=[one.updated_at for one in contacts],
        )


async def delete_contacts(tx: Transaction, keys: Sequence[ContactKey]) -> None:
    """Delete contacts."""
    if keys:
        await queries.delete_contacts(tx, **columns_of(keys))


async def by_emails(tx: Reads, workspace_id: UUID, emails: Iterable[str]) -> dict[str, list[UUID]]:
    """Say which contacts have these addresses, compared in lower case; the oldest comes first."""
    rows = queries.by_emails(tx, workspace_id=workspace_id, emails=list(emails))
    return await _by_address(rows)


async def by_phones(tx: Reads, workspace_id: UUID, phones: Iterable[str]) -> dict[str, list[UUID]]:
    """Say which contacts have these phone numbers; the oldest comes first."""
    rows = queries.by_phones(tx, workspace_id=workspace_id, phones=list(phones))
    return await _by_address(rows)


async def _by_address(rows: Any) -> dict[str, list[UUID]]:
    found: defaultdict[str, list[UUID]] = defaultdict(list)
    async for row in rows:
        found[row["address"]].append(row["contact_id"])
    return dict(found)


async def newest(
    tx: Reads, workspace_id: UUID, before: Place | None, at_most: int, skip: int = 0
) -> list[StoredContact]:
    """Give contacts, newest first, or those that come after a place."""
    at, contact_id = before or (None, None)
    rows = queries.newest(
        tx, workspace_id=workspace_id, before_at=at, before_id=contact_id,
        at_most=at_most, skip=skip,
    )  # fmt: skip
    return [contact_of(row) async for row in rows]


async def count_contacts(tx: Reads, workspace_id: UUID, at_most: int) -> int:
    """Count contacts, no further than this."""
    row = await queries.count_contacts(tx, workspace_id=workspace_id, at_most=at_most)
    return int(row["total"])


async def searched(pool: Pool, **query: Any) -> tuple[list[StoredContact], int]:
    """Give one page of the contacts that a search finds, and how many there are."""
    rows, total = await read_page(queries.searched, pool, "contact_id", query)
    return [contact_of(row) for row in rows], total


async def write_members(
    tx: Transaction, joined: Sequence[ListMember], left: Sequence[ListMember]
) -> None:
    """Note who came on lists and who went off."""
    for pairs, write in ((left, queries.remove_members), (joined, queries.put_members)):
        if pairs:
            workspace_ids, list_ids, contact_ids = zip(*pairs, strict=True)
            await write(tx, workspace_ids=workspace_ids, list_ids=list_ids, contact_ids=contact_ids)


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


async def lists(tx: Reads, workspace_id: UUID) -> list[dict[str, Any]]:
    """Give every list of a workspace."""
    return [dict(row) async for row in queries.lists(tx, workspace_id=workspace_id)]


async def custom_fields(tx: Reads, workspace_id: UUID) -> list[dict[str, Any]]:
    """Give every custom field of a workspace."""
    return [dict(row) async for row in queries.custom_fields(tx, workspace_id=workspace_id)]


async def custom_field_definitions(tx: Reads, workspace_id: UUID) -> dict[UUID, CustomField]:
    """Give the custom fields as rules use them, by id; only those that are active."""
    return active_definitions(await custom_fields(tx, workspace_id))


def active_definitions(fields: Iterable[Mapping[str, Any]]) -> dict[UUID, CustomField]:
    """Give those custom fields that are active as rules use them, by id."""
    return {
        row["custom_field_id"]: CustomField(api_name=row["api_name"], type=FieldType(row["type"]))
        for row in fields
        if row["active"]
    }
