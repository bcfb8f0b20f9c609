"""Slices that are being released: one day's share of a date trigger in one partition."""

from collections.abc import Collection, Iterable, Mapping, Sequence
from datetime import date, datetime
from typing import Any, NamedTuple
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.date_schedule import Slice
from libs.domain.occurrences import keys_due_on

queries = queries_beside(__file__)


class SliceKey(NamedTuple):
    """What a slice is known by."""

    partition: int
    flow_id: UUID
    trigger_id: str
    due_at: datetime


class Checkpoint(NamedTuple):
    """The last date of a slice that was looked at: its key, and whose it is."""

    key: int
    contact_id: UUID


class OpenSlice(NamedTuple):
    """A slice that is being released, with its trigger as it was when it fell due."""

    key: SliceKey
    day: date
    workspace_id: UUID
    flow_version: int
    field_id: int
    settings: Mapping[str, Any]
    after: Checkpoint


async def open_slices(tx: Transaction, fallen: Sequence[tuple[int, Slice]]) -> None:
    """Begin to release what has fallen due, each in its partition."""
    if not fallen:
        return
    triggers = [one.trigger for _, one in fallen]
    await queries.open(
        tx,
        partitions=[partition for partition, _ in fallen],
        flow_ids=[trigger.flow_id for trigger in triggers],
        trigger_ids=[trigger.trigger_id for trigger in triggers],
        due_ats=[one.due_at for _, one in fallen],
        days=[one.day for _, one in fallen],
        workspaces=[trigger.workspace_id for trigger in triggers],
        versions=[trigger.flow_version for trigger in triggers],
        fields=[trigger.field for trigger in triggers],
        settings=[trigger.settings for trigger in triggers],
        keys=[_keys(one) for _, one in fallen],
    )


def _keys(one: Slice) -> str:
    return f"{{{','.join(map(str, keys_due_on(one.trigger.rule, one.day)))}}}"


async def next_slices(
    tx: Transaction, partitions: Collection[int], at_most: int
) -> list[OpenSlice]:
    """Give the slices whose turn it is."""
    rows = queries.next(tx, partitions=list(partitions), at_most=at_most)
    return [
        OpenSlice(
            SliceKey(row["partition"], row["flow_id"], row["trigger_id"], row["due_at"]),
            row["day"],
            row["workspace_id"],
            row["flow_version"],
            row["field_id"],
            row["settings"],
            Checkpoint(row["after_key"], row["after_contact"]),
        )
        async for row in rows
    ]


async def find(tx: Transaction, keys: Iterable[SliceKey]) -> dict[SliceKey, Checkpoint]:
    """Say how far these slices are; those that are not being released are left out."""
    rows = queries.find(tx, **_columns(set(keys)))
    return {SliceKey(*row[:4]): Checkpoint(*row[4:]) async for row in rows}


async def move(tx: Transaction, moved: Mapping[SliceKey, Checkpoint]) -> None:
    """Note how far these slices are."""
    if moved:
        await queries.move(
            tx,
            **_columns(moved),
            after_keys=[after.key for after in moved.values()],
            after_contacts=[after.contact_id for after in moved.values()],
        )


async def close(tx: Transaction, keys: Collection[SliceKey]) -> None:
    """End these slices."""
    if keys:
        await queries.close(tx, **_columns(keys))


async def unfinished(tx: Transaction, partitions: Collection[int]) -> set[int]:
    """Say which of these partitions have slices left."""
    rows = queries.unfinished(tx, partitions=list(partitions))
    return {row["partition"] async for row in rows}


def _columns(keys: Collection[SliceKey]) -> dict[str, list[Any]]:
    return {
        "partitions": [key.partition for key in keys],
        "flow_ids": [key.flow_id for key in keys],
        "trigger_ids": [key.trigger_id for key in keys],
        "due_ats": [key.due_at for key in keys],
    }
