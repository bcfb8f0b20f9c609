"""What the form said by which contacts entered, kept while they are inside."""

from collections.abc import Iterable, Mapping
from typing import Any
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


async def keep(tx: Transaction, entries: Mapping[UUID, Mapping[str, Any]]) -> None:
    """Keep what was said, by membership; written once."""
    if entries:
        await queries.keep(tx, ids=list(entries), entries=[dict(one) for one in entries.values()])


async def erase(tx: Transaction, memberships: Iterable[UUID]) -> None:
    """Forget what was said: these memberships have ended."""
    if ended := list(memberships):
        await queries.erase(tx, ids=ended)
