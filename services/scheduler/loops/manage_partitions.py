"""Index the days that come near, drop the days that have passed."""

from datetime import timedelta

from libs.chassis.clock import Clock
from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from libs.chassis.telemetry.logs import logger
from services.scheduler.store import timers, watermarks

_NEAR = timedelta(days=2)
_log = logger(__name__)


async def manage_partitions(pool: Pool, clock: Clock, partitions: int) -> None:
    """Do what the time asks for; far days stay without an index, which makes keeping them cheap."""
    with retry_later("wheel.retried"):
        async with transaction(pool) as tx:
            indexed = await timers.index_days(tx, (clock.now() + _NEAR).date())
        async with transaction(pool) as tx:
            passed = await watermarks.lowest(tx, partitions)
            dropped = await timers.drop_days(tx, passed) if passed else 0
        if indexed or dropped:
            _log.info("partitions.managed", indexed=indexed, dropped=dropped)
