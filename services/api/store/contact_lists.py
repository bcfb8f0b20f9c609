"""Lists of contacts: static ones, and dynamic ones, which are their rules."""

from collections.abc import Iterable
from dataclasses import dataclass, fields
from datetime import datetime
from typing import Any, Literal
from uuid import UUID

from libs.chassis.postgres.pool import Pool, Reads, Transaction
from libs.chassis.postgres.statements import queries_beside
from services.api.store.directory import StoredContact, contact_of
from services.api.store.pages import read_page

queries = queries_beside(__file__)
ListKind = Literal["static", "dynamic"]


@dataclass(frozen=True, slots=True)
class ListContent:
    """What a user writes of a list.

    Attributes:
        name: Its name.
        description: What it is for.
        rules: The rules of a dynamic list, as the engine has them; None for a static one.
        written: The same rules, as they were sent.
        rests_on: The lists the rules ask about.
    """

    name: str
    description: str | None = None
    rules: dict[str, Any] | None = None
    written: dict[str, Any] | None = None
    rests_on: tuple[UUID, ...] = ()


@dataclass(frozen=True, slots=True)
class StoredList:
    """A list as it is."""

    list_id: UUID
    workspace_id: UUID
    kind: ListKind
    name: str
    description: str | None
    rules: dict[str, Any] | None
    written: dict[str, Any] | None
    rests_on: list[UUID]
    created_at: datetime
    updated_at: datetime


async def name_list(
    tx: Transaction, workspace_id: UUID, list_id: UUID, content: ListContent, now: datetime
) -> StoredList:
    """See that a static list exists and has a name; give it as it is then."""
    row = await queries.name_list(
        tx, workspace_id=workspace_id, list_id=list_id,
        name=content.name, description=content.description, now=now,
    )  # fmt: skip
    return _list(row)


async def add_dynamic(
    tx: Transaction, workspace_id: UUID, list_id: UUID, content: ListContent, now: datetime
) -> StoredList | None:
    """Add a dynamic list; None if there is a list with this id."""
    row = await queries.add_dynamic(
        tx, workspace_id=workspace_id, list_id=list_id, **_written(content), now=now
    )
    return _list(row) if row else None


async def change(
    tx: Transaction, workspace_id: UUID, list_id: UUID, content: ListContent, now: datetime
) -> StoredList:
    """Write a list as it is from now on."""
    row = await queries.change(
        tx, workspace_id=workspace_id, list_id=list_id, **_written(content), now=now
    )
    return _list(row)


def _written(content: ListContent) -> dict[str, Any]:
    return {field.name: getattr(content, field.name) for field in fields(ListContent)}


async def hold(tx: Transaction, workspace_id: UUID) -> None:
    """Let nobody else change rules of this workspace's lists until the transaction ends."""
    await queries.hold(tx, workspace_id=workspace_id)


async def read(tx: Reads, workspace_id: UUID, list_ids: Iterable[UUID]) -> dict[UUID, StoredList]:
    """Read lists; unknown ones are left out."""
    rows = queries.read(tx, workspace_id=workspace_id, list_ids=list(list_ids))
    return {row["list_id"]: _list(row) async for row in rows}


async def below(tx: Reads, workspace_id: UUID, list_ids: Iterable[UUID]) -> dict[UUID, StoredList]:
    """Read lists, and all that their rules ask about, to any depth."""
    rows = queries.below(tx, workspace_id=workspace_id, list_ids=list(list_ids))
    return {row["list_id"]: _list(row) async for row in rows}


async def keep(tx: Transaction, workspace_id: UUID) -> None:
    """Let nobody change rules of this workspace's lists until the transaction ends.

    Who compiles rules keeps them, so that no change of a list comes between reading it and writing
    what was made of it.
    """
    await queries.keep(tx, workspace_id=workspace_id)


async def page(pool: Pool, **query: Any) -> tuple[list[StoredList], int]:
    """Give one page of lists, and how many there are."""
    rows, total = await read_page(queries.page, pool, "list_id", query)
    return [_list(row) for row in rows], total


async def members(pool: Pool, **query: Any) -> list[StoredContact]:
    """Give contacts of a static list, in the order of their ids."""
    return [contact_of(row) async for row in queries.members(pool, **query)]


async def count_members(tx: Reads, workspace_id: UUID, list_id: UUID, at_most: int) -> int:
    """Count who is on a static list, no further than this."""
    row = await queries.count_members(
        tx, workspace_id=workspace_id, list_id=list_id, at_most=at_most
    )
    return int(row["total"])


def _list(row: Any) -> StoredList:
    return StoredList(**{field.name: row[field.name] for field in fields(StoredList)})
