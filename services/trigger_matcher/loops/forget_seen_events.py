"""Forget the ids of events that are too old to be repeated."""

from libs.chassis.logs import logger
from libs.chassis.outages import putting_off
from libs.chassis.postgres import Pool, transaction
from services.trigger_matcher.store import seen_events

_log = logger(__name__)


async def forget(pool: Pool, keep_days: float) -> None:
    """Forget some; the next round forgets more."""
    with putting_off("seen_events.put_off"):
        async with transaction(pool) as tx:
            gone = await seen_events.forget(tx, keep_days)
        if gone:
            _log.info("seen_events.forgotten", count=gone)
