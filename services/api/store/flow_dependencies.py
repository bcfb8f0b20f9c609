"""Which flows have inlined which lists and custom fields, and what of these has changed since."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from uuid import UUID

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


@dataclass(frozen=True, slots=True)
class DependencyChange:
    """Something flows depend on has changed.

    Attributes:
        turn: Whose turn it is: the lowest comes first.
        workspace_id: Whose it is.
        needs_id: The list or the custom field.
        after_id: The last flow that was published anew for it.
    """

    turn: int
    workspace_id: UUID
    needs_id: UUID
    after_id: UUID | None


async def put(tx: Transaction, workspace_id: UUID, needs: Mapping[UUID, Iterable[UUID]]) -> None:
    """Write down what flows depend on from now on, by the flow's id."""
    pairs = [(flow_id, one) for flow_id, needed in needs.items() for one in needed]
    await queries.put(
        tx,
        workspace_id=workspace_id,
        flow_ids=list(needs),
        of_flow_ids=[flow_id for flow_id, _ in pairs],
        needs_ids=[one for _, one in pairs],
    )


async def changed(tx: Transaction, workspace_id: UUID, needs_id: UUID) -> None:
    """Say that something has changed that flows may depend on."""
    await queries.changed(tx, workspace_id=workspace_id, needs_id=needs_id)


async def claim(tx: Transaction) -> DependencyChange | None:
    """Give the change whose turn it is, if there is one that nobody else treats now."""
    row = await queries.claim(tx)
    return DependencyChange(**row) if row else None


async def go_on(tx: Transaction, change: DependencyChange, after_id: UUID) -> None:
    """Say that there may be more flows after this one; other changes have a turn first."""
    await queries.go_on(tx, turn=change.turn, after_id=after_id)


async def end(tx: Transaction, change: DependencyChange) -> None:
    """Say that all flows were published anew."""
    await queries.end(tx, turn=change.turn)
