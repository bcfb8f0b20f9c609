"""Index the days that come near, drop the days that have passed."""

from datetime import timedelta

from libs.chassis.clock import Clock
from libs.chassis.logs import logger
from libs.chassis.outages import putting_off
from libs.chassis.postgres import Pool, transaction
from services.scheduler.store import timers, watermarks

_NEAR = timedelta(days=2)
_log = logger(__name__)


async def turn_the_wheel(pool: Pool, clock: Clock, shards: int) -> None:
    """Do what the time asks for; far days stay without an index, which makes keeping them cheap."""
    with putting_off("wheel.put_off"):
        async with transaction(pool) as tx:
            indexed = await timers.index_days(tx, (clock.now() + _NEAR).date())
        async with transaction(pool) as tx:
            passed = await watermarks.lowest(tx, shards)
            dropped = await timers.drop_days(tx, passed) if passed else 0
        if indexed or dropped:
            _log.info("wheel.turned", indexed=indexed, dropped=dropped)
