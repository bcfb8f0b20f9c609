"""What is known of each contact: a projection of its events."""

from collections.abc import Mapping
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.contact import ContactSnapshot

queries = queries_beside(__file__)
ContactKey = tuple[UUID, UUID]
"""Workspace and contact."""


async def read(
    tx: Transaction, partitions: Mapping[ContactKey, int]
) -> dict[ContactKey, ContactSnapshot]:
    """Give what is known of these contacts, also that one is gone; unknown ones are left out.

    Args:
        tx: The transaction.
        partitions: In which partition each of them lives.
    """
    rows = queries.read(
        tx,
        partitions=list(partitions.values()),
        workspace_ids=[key[0] for key in partitions],
        contact_ids=[key[1] for key in partitions],
    )
    return {
        (row["workspace_id"], row["contact_id"]): ContactSnapshot(
            row["contact_id"],
            row["fields"],
            row["custom_fields"],
            frozenset(row["lists"]),
            deleted=row["deleted"],
            times=row["times"],
        )
        async for row in rows
    }


async def page(tx: Transaction, place: tuple[int, UUID, UUID], at_most: int) -> list[UUID]:
    """Give some contacts in order of their ids, also those that are gone.

    Args:
        tx: The transaction.
        place: Partition, workspace, and the contact after which to go on.
        at_most: How many.
    """
    partition, workspace_id, after = place
    rows = queries.page(
        tx, partition=partition, workspace_id=workspace_id, after=after, at_most=at_most
    )
    return [row["contact_id"] async for row in rows]


async def write(
    tx: Transaction,
    changed: Mapping[ContactKey, ContactSnapshot],
    partitions: Mapping[ContactKey, int],
) -> None:
    """Write contacts, each with the partition in which it lives."""
    if not changed:
        return
    snapshots = changed.values()
    await queries.write(
        tx,
        partitions=[partitions[key] for key in changed],
        workspace_ids=[key[0] for key in changed],
        contact_ids=[key[1] for key in changed],
        fields=[one.fields for one in snapshots],
        custom_fields=[one.custom_fields for one in snapshots],
        lists=[f"{{{','.join(map(str, one.lists))}}}" for one in snapshots],
        times=[one.times for one in snapshots],
        deleted=[one.deleted for one in snapshots],
    )


async def forget(tx: Transaction, keep_days: float, at_most: int = 5000) -> int:
    """Drop some rows of contacts that have been gone for so long; give how many."""
    gone: int = await queries.forget(tx, keep_days=keep_days, at_most=at_most)
    return gone
