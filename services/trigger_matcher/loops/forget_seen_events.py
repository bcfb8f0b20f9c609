"""Forget the ids of events that are too old to be repeated."""

from libs.chassis.logs import logger
from libs.chassis.outages import is_outage
from libs.chassis.postgres import Pool, transaction
from services.trigger_matcher.store import seen_events

_log = logger(__name__)


async def forget(pool: Pool, keep_days: float) -> None:
    """Forget some; the next round forgets more."""
    try:
        async with transaction(pool) as tx:
            gone = await seen_events.forget(tx, keep_days)
    except Exception as error:
        if not is_outage(error):
            raise
        return
    if gone:
        _log.info("seen_events.forgotten", count=gone)
