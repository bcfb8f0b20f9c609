"""What is known of each contact: a projection of its events."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.contact import ContactSnapshot

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""


async def read(tx: Transaction, keys: Iterable[ContactKey]) -> dict[ContactKey, ContactSnapshot]:
    """Give what is known of these contacts; unknown ones are left out."""
    return {
        (row["workspace_id"], row["contact_id"]): ContactSnapshot(
            row["contact_id"], row["fields"], row["custom_fields"], frozenset(row["lists"])
        )
        async for row in queries.read(tx, **_columns(keys))
    }


async def write(tx: Transaction, changed: Mapping[ContactKey, ContactSnapshot | None]) -> None:
    """Write contacts; None forgets one."""
    rows = [
        {
            "workspace_id": str(workspace_id),
            "contact_id": str(contact_id),
            "fields": dict(snapshot.fields),
            "custom_fields": dict(snapshot.custom_fields),
            "lists": [str(list_id) for list_id in snapshot.lists],
        }
        for (workspace_id, contact_id), snapshot in changed.items()
        if snapshot is not None
    ]
    if rows:
        await queries.write(tx, rows=rows)
    if gone := [key for key, snapshot in changed.items() if snapshot is None]:
        await queries.forget(tx, **_columns(gone))


def _columns(keys: Iterable[ContactKey]) -> dict[str, list[UUID]]:
    listed = list(keys)
    return {
        "workspace_ids": [workspace_id for workspace_id, _ in listed],
        "contact_ids": [contact_id for _, contact_id in listed],
    }
