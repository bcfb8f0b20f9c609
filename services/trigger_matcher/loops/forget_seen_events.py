"""Forget the ids of events that are too old to be repeated."""

from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from libs.chassis.telemetry.logs import logger
from services.trigger_matcher.store import seen_events

_log = logger(__name__)


async def forget(pool: Pool, keep_days: float) -> None:
    """Forget some; the next round forgets more."""
    with retry_later("seen_events.retried"):
        async with transaction(pool) as tx:
            gone = await seen_events.forget(tx, keep_days)
        if gone:
            _log.info("seen_events.forgotten", count=gone)
