"""The fields that date triggers go by: of these alone the scheduler is told."""

from collections.abc import Iterable, Mapping
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


async def add(tx: Transaction, named: Iterable[tuple[UUID, str]]) -> list[tuple[UUID, str]]:
    """Note fields, each with its workspace; give those that nobody went by before."""
    listed = list(named)
    if not listed:
        return []
    rows = queries.add(tx, workspaces=[one[0] for one in listed], fields=[one[1] for one in listed])
    return [(row["workspace_id"], row["field"]) async for row in rows]


async def read(tx: Transaction, workspaces: Iterable[UUID]) -> Mapping[UUID, frozenset[str]]:
    """Give the fields of each of these workspaces that has any."""
    wanted = list(set(workspaces))
    if not wanted:
        return {}
    rows = queries.read(tx, workspaces=wanted)
    return {row["workspace_id"]: frozenset(row["fields"]) async for row in rows}
