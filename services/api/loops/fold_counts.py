"""Fold the changes of counts, so that reading them stays cheap."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from services.api.store import counts


async def fold(pool: Pool) -> None:
    """Fold what has come up to now; an outage leaves it for the next time."""
    with retry_later("counts.retried"):
        async with transaction(pool) as tx:
            await counts.fold(tx)
