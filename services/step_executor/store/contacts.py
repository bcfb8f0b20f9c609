"""What is known of each contact: a projection of its events."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from libs.chassis.postgres import Transaction, queries_beside
from libs.domain.contact import Facts

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""


async def read(tx: Transaction, keys: Iterable[ContactKey]) -> dict[ContactKey, Facts]:
    """Give the facts about these contacts; unknown ones are left out."""
    return {
        (row["workspace_id"], row["contact_id"]): Facts(
            row["contact_id"], row["fields"], row["custom_fields"], frozenset(row["lists"])
        )
        async for row in queries.read(tx, **_columns(keys))
    }


async def write(tx: Transaction, changed: Mapping[ContactKey, Facts | None]) -> None:
    """Write contacts; None forgets one."""
    rows = [
        {
            "workspace_id": str(workspace_id),
            "contact_id": str(contact_id),
            "fields": dict(facts.fields),
            "custom_fields": dict(facts.custom_fields),
            "lists": [str(list_id) for list_id in facts.lists],
        }
        for (workspace_id, contact_id), facts in changed.items()
        if facts is not None
    ]
    if rows:
        await queries.write(tx, rows=rows)
    if gone := [key for key, facts in changed.items() if facts is None]:
        await queries.forget(tx, **_columns(gone))


def _columns(keys: Iterable[ContactKey]) -> dict[str, list[UUID]]:
    listed = list(keys)
    return {
        "workspace_ids": [workspace_id for workspace_id, _ in listed],
        "contact_ids": [contact_id for _, contact_id in listed],
    }
