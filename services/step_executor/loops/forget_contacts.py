"""Forget, after some time, that contacts that are gone have been."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from services.step_executor.store import contacts


async def forget(pool: Pool, keep_days: float) -> None:
    """Forget some; the next time more."""
    with retry_later("contacts.retried"):
        async with transaction(pool) as tx:
            await contacts.forget(tx, keep_days)
