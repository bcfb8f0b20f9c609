"""Erase what is held of contacts that were deleted."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool
from services.api.use_cases import erasure


async def erase_deleted(pool: Pool) -> None:
    """Erase what is due by now; an outage leaves it for the next time."""
    with retry_later("erasure.retried"):
        await erasure.erase_due(pool)
