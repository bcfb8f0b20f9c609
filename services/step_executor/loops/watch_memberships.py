"""Look for memberships that nothing will ever move: being stuck must never go without a sign."""

from datetime import timedelta

from prometheus_client import Gauge

from libs.chassis.clock import Clock
from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool
from libs.chassis.telemetry.logs import logger
from services.step_executor.store import memberships

STUCK = Gauge("millrace_stuck_memberships", "Live memberships without a reason to move. Must be 0.")
_OVERDUE = timedelta(minutes=10)
_log = logger(__name__)


class WatchMemberships:
    """Counts stuck memberships from time to time, and remembers the last count."""

    def __init__(self, pool: Pool, clock: Clock) -> None:
        self._pool = pool
        self._clock = clock
        self.count = 0

    async def look(self) -> None:
        """Count; an outage leaves the last count."""
        # What is overdue is measured in real time: a fast clock makes nothing late.
        overdue = self._clock.now() - (self._clock.in_real(_OVERDUE) - self._clock.now())
        with retry_later("memberships.not_watched"):
            self.count = await memberships.stuck(self._pool, overdue)
        STUCK.set(self.count)
        if self.count:
            _log.error("memberships.stuck", count=self.count)
