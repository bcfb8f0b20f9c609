"""Contacts that are gone: that they are, and nothing else."""

from collections.abc import Collection, Mapping

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from services.api.store.directory import ContactKey, columns_of

queries = queries_beside(__file__)


async def among(tx: Transaction, contacts: Collection[ContactKey]) -> set[ContactKey]:
    """Say which of these contacts are gone."""
    return set(await said(tx, contacts))


async def said(tx: Transaction, contacts: Collection[ContactKey]) -> dict[ContactKey, int]:
    """Say which of these contacts are gone, and when that was said, in microseconds since 1970."""
    if not contacts:
        return {}
    rows = queries.said(tx, **columns_of(contacts))
    return {(row["workspace_id"], row["contact_id"]): row["said_at"] async for row in rows}


async def add(tx: Transaction, said_at: Mapping[ContactKey, int]) -> None:
    """Remember that contacts are gone; what is held of them as persons will be erased."""
    if said_at:
        await queries.add(tx, **columns_of(said_at), said_ats=list(said_at.values()))


async def remove(tx: Transaction, contacts: Collection[ContactKey]) -> None:
    """Forget that contacts were gone: they are back."""
    if contacts:
        await queries.remove(tx, **columns_of(contacts))


async def to_erase(tx: Transaction, at_most: int) -> list[ContactKey]:
    """Name some contacts whose data are to be erased now."""
    rows = queries.to_erase(tx, at_most=at_most)
    return [(row["workspace_id"], row["contact_id"]) async for row in rows]


async def erased(tx: Transaction, contacts: Collection[ContactKey]) -> None:
    """Remember that the data of contacts were erased."""
    await queries.erased(tx, **columns_of(contacts))
