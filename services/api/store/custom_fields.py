"""Writing the definitions of custom fields; the directory reads them."""

from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


async def hold(tx: Transaction, workspace_id: UUID) -> None:
    """Let nobody else add or change custom fields of a workspace until the transaction ends."""
    await queries.hold(tx, workspace_id=workspace_id)


async def keep(tx: Transaction, workspace_id: UUID) -> None:
    """Let nobody add or change custom fields of a workspace until the transaction ends.

    Who compiles rules keeps the fields they name, as it keeps the lists.
    """
    await queries.keep(tx, workspace_id=workspace_id)


async def add(
    tx: Transaction, workspace_id: UUID, field_id: UUID, definition: dict[str, str]
) -> bool:
    """Add a custom field; False if its api name is taken."""
    added = await queries.add(tx, custom_field_id=field_id, workspace_id=workspace_id, **definition)
    return added is not None


async def change(
    tx: Transaction, workspace_id: UUID, field_id: UUID, name: str | None, *, active: bool | None
) -> dict[str, Any] | None:
    """Rename a custom field, or make it active or not; None if there is no such field."""
    row = await queries.change(
        tx, workspace_id=workspace_id, custom_field_id=field_id, name=name, active=active
    )
    return dict(row) if row else None
