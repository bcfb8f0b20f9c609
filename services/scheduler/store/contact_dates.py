"""The dates contacts have, by month and day."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import NamedTuple
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.occurrences import DateValue

queries = queries_beside(__file__)
Field = tuple[UUID, str]
"""A workspace, and a field that contacts have in it."""


class Place(NamedTuple):
    """Where a date is filed."""

    partition: int
    field_id: int
    key: int
    contact_id: UUID


class HeldDate(NamedTuple):
    """A date as it was found."""

    key: int
    contact_id: UUID
    value: DateValue
    set_at: datetime


class Range(NamedTuple):
    """The dates of a field under one key, behind a contact. `number` tells ranges of one page."""

    number: int
    partition: int
    field_id: int
    key: int
    after: UUID


async def use_indexes(tx: Transaction) -> None:
    """Let the rest of this transaction find dates by their key, however few there seem to be."""
    await queries.use_indexes(tx)


async def field_ids(tx: Transaction, fields: Iterable[Field]) -> dict[Field, int]:
    """Give the numbers of these fields; one that has none gets it."""
    wanted = sorted(set(fields))
    known = await _numbers(tx, wanted)
    if new := [field for field in wanted if field not in known]:
        await queries.number_fields(
            tx, workspaces=[field[0] for field in new], fields=[field[1] for field in new]
        )
        known |= await _numbers(tx, new)
    return known


async def _numbers(tx: Transaction, wanted: Sequence[Field]) -> dict[Field, int]:
    rows = queries.field_ids(
        tx, workspaces=[field[0] for field in wanted], fields=[field[1] for field in wanted]
    )
    return {(row["workspace_id"], row["field"]): row["field_id"] async for row in rows}


async def forget(tx: Transaction, places: Sequence[Place]) -> None:
    """Forget dates; one that is not there is no fault."""
    if places:
        await queries.forget(
            tx,
            partitions=[one.partition for one in places],
            field_ids=[one.field_id for one in places],
            keys=[one.key for one in places],
            contacts=[one.contact_id for one in places],
        )


async def remember(tx: Transaction, dates: Sequence[tuple[Place, DateValue, datetime]]) -> None:
    """Keep dates: each with where it is filed and when it was set."""
    if dates:
        await queries.remember(
            tx,
            partitions=[place.partition for place, _, _ in dates],
            field_ids=[place.field_id for place, _, _ in dates],
            keys=[place.key for place, _, _ in dates],
            contacts=[place.contact_id for place, _, _ in dates],
            values=[value.instant for _, value, _ in dates],
            bares=[value.bare for _, value, _ in dates],
            set_ats=[set_at for _, _, set_at in dates],
        )


async def page(tx: Transaction, ranges: Sequence[Range], at_most: int) -> dict[int, list[HeldDate]]:
    """Give the next dates of each range, in the order of their keys, by the range's number.

    Ranges may share a number: their dates follow one another then.
    """
    rows = queries.page(
        tx,
        places=[one.number for one in ranges],
        partitions=[one.partition for one in ranges],
        field_ids=[one.field_id for one in ranges],
        keys=[one.key for one in ranges],
        afters=[one.after for one in ranges],
        at_most=at_most,
    )
    found: dict[int, list[HeldDate]] = {one.number: [] for one in ranges}
    async for number, key, contact_id, value, bare, set_at in rows:
        found[number].append(HeldDate(key, contact_id, DateValue(value, bare), set_at))
    return found
