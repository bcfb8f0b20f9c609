"""Changes of contacts that the directory has published and not followed yet: the last of each."""

from collections.abc import Collection, Mapping
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from services.api.store.directory import ContactKey, columns_of

queries = queries_beside(__file__)


async def among(tx: Transaction, contacts: Collection[ContactKey]) -> set[ContactKey]:
    """Say of which of these contacts a change is on its way."""
    rows = queries.among(tx, **columns_of(contacts))
    return {(row["workspace_id"], row["contact_id"]) async for row in rows}


async def put(tx: Transaction, published: Mapping[ContactKey, UUID]) -> None:
    """Remember the key of the last event that is published of each contact."""
    if published:
        await queries.put(tx, **_columns(published))


async def followed(tx: Transaction, events: Mapping[ContactKey, UUID]) -> None:
    """Forget what has been followed, given as the last event of each contact."""
    if events:
        await queries.followed(tx, **_columns(events))


def _columns(events: Mapping[ContactKey, UUID]) -> dict[str, list[Any]]:
    return {**columns_of(events), "event_keys": list(events.values())}
