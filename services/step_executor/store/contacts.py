"""What is known of each contact: a projection of its events."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from libs.chassis.postgres import Transaction, queries_beside
from libs.domain.contact import Facts

queries = queries_beside(__file__)


async def read(tx: Transaction, contact_ids: Iterable[UUID]) -> dict[UUID, Facts]:
    """Give the facts about these contacts; unknown ones are left out."""
    rows = queries.read(tx, contact_ids=list(contact_ids))
    return {
        row["contact_id"]: Facts(
            row["contact_id"], row["fields"], row["custom_fields"], frozenset(row["lists"])
        )
        async for row in rows
    }


async def write(tx: Transaction, changed: Mapping[UUID, tuple[UUID, Facts | None]]) -> None:
    """Write contacts, each with its workspace; None forgets one."""
    rows = [
        {
            "contact_id": str(contact_id),
            "workspace_id": str(workspace_id),
            "fields": dict(facts.fields),
            "custom_fields": dict(facts.custom_fields),
            "lists": [str(list_id) for list_id in facts.lists],
        }
        for contact_id, (workspace_id, facts) in changed.items()
        if facts is not None
    ]
    gone = [contact_id for contact_id, (_, facts) in changed.items() if facts is None]
    if rows:
        await queries.write(tx, rows=rows)
    if gone:
        await queries.forget(tx, contact_ids=gone)
