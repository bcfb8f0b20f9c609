"""Sending processes and their leases."""

from typing import NamedTuple
from uuid import UUID

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


class Heartbeat(NamedTuple):
    """A sender's heartbeat: a counter, and how long it may stand still before the lease is over."""

    beats: int
    lease_seconds: float


async def register(tx: Transaction, lease: UUID, seconds: float) -> None:
    """Begin a lease."""
    await queries.register(tx, lease=lease, seconds=seconds)


async def beat(tx: Transaction, lease: UUID) -> bool:
    """Show that the sender lives; False if its lease was taken away."""
    return await queries.beat(tx, lease=lease) is not None


async def heartbeats(tx: Reads) -> dict[UUID, Heartbeat]:
    """Give the heartbeat of every sender."""
    rows = queries.heartbeats(tx)
    return {row["lease"]: Heartbeat(row["heartbeat"], row["seconds"]) async for row in rows}


async def take_over(
    tx: Transaction, lease: UUID, heartbeat: int, takeovers_at_most: int
) -> tuple[int, int]:
    """Take a lease away; give how many deliveries are made again, and how many have failed.

    These are two statements because each sees what was committed when it began: the first one
    may wait for a claim under this lease, and only the second one sees what was claimed.
    """
    if await queries.end_lease(tx, lease=lease, heartbeat=heartbeat) is None:
        return 0, 0
    rows = queries.take_over(tx, lease=lease, takeovers_at_most=takeovers_at_most)
    statuses = [row["status"] async for row in rows]
    return statuses.count("pending"), statuses.count("settled")


async def leave(tx: Transaction, lease: UUID) -> None:
    """End a lease in good order; not if something is still claimed under it."""
    await queries.leave(tx, lease=lease)
