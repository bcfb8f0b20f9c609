"""Fold the changes of counts, and set anchors in long lists, so that reading both stays cheap."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from services.api.store import counts, member_lists

_FLOWS = 20
_ANCHORS = 50


async def fold(pool: Pool) -> None:
    """Fold what has come up to now; an outage leaves it for the next time."""
    with retry_later("counts.retried"):
        async with transaction(pool) as tx:
            if await counts.fold_alone(tx):
                await counts.fold(tx)
                await member_lists.set_anchors(tx, _FLOWS, _ANCHORS)
