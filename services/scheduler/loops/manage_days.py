"""Index the days that come near, drop the days that have passed."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool
from libs.chassis.telemetry.logs import logger
from services.scheduler.store import watermarks
from services.scheduler.store.days import OpenDays, upkeep

_log = logger(__name__)


async def manage_days(pool: Pool, days: OpenDays, partitions: int) -> None:
    """Do what the time asks for, unless another scheduler is at it; then look at the result."""
    with retry_later("days.retried"):
        await days.refresh(pool)
        async with upkeep(pool) as mine:
            if mine is not None:
                indexed = await mine.index(days.near)
                passed = await watermarks.lowest(pool, partitions)
                dropped = await mine.drop(passed) if passed else 0
                if indexed or dropped:
                    _log.info("days.managed", indexed=indexed, dropped=dropped)
        await days.refresh(pool)
