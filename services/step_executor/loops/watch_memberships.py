"""Look for memberships that nothing will ever move: being stuck must never go without a sign.

Live memberships are looked at page by page, all of them in one pass after another, so that the cost
of a look does not grow with their number. The age says how old the last whole pass is.
"""

import time
from datetime import timedelta
from uuid import UUID

from prometheus_client import Gauge

from libs.chassis.clock import Clock
from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool
from libs.chassis.telemetry.logs import logger
from services.step_executor.store import memberships

STUCK = Gauge("millrace_stuck_memberships", "Live memberships without a reason to move. Must be 0.")
AGE = Gauge(
    "millrace_stuck_memberships_age_seconds",
    "How long ago the look at all memberships began that the count of stuck ones is from.",
)
_OVERDUE = timedelta(minutes=10)
_PAGE = 2000
_FIRST = UUID(int=0)
_log = logger(__name__)


class WatchMemberships:
    """Counts stuck memberships, a page of memberships at each look.

    Attributes:
        count: The stuck ones of the last whole pass, or more where this pass has found more.
    """

    def __init__(self, pool: Pool, clock: Clock, page: int = _PAGE) -> None:
        self._pool = pool
        self._clock = clock
        self._page = page
        self._after = _FIRST
        self._found = 0
        self._began = self._counted = time.monotonic()
        self.count = 0

    async def look(self) -> None:
        """Look at one page; an outage leaves it for the next time."""
        # What is overdue is measured in real time: a fast clock makes nothing late.
        overdue = self._clock.now() - (self._clock.in_real(_OVERDUE) - self._clock.now())
        with retry_later("memberships.retried"):
            seen = await memberships.audit(self._pool, self._after, overdue, self._page)
            self._found += seen.stuck
            self._after = seen.last or _FIRST
            if seen.looked_at < self._page:
                self._end_pass()
        self.count = max(self.count, self._found)
        STUCK.set(self.count)
        AGE.set(time.monotonic() - self._counted)

    def _end_pass(self) -> None:
        if self._found:
            _log.error("memberships.stuck", count=self._found)
        self.count, self._found, self._after = self._found, 0, _FIRST
        self._counted, self._began = self._began, time.monotonic()
