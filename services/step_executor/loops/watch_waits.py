"""Look for waits that should be over: a fact that is forgotten must never go without a sign.

What a wait listens to is worked out from its rule; if it were wrong, a contact would stand for ever
and nothing would fail. So every standing wait is judged anew now and then, a page at each look.
Whatever is found is a fault of this program.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from uuid import UUID

from prometheus_client import Gauge

from libs.chassis.clock import Clock
from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry.logs import logger
from libs.domain.flow import Flow
from libs.domain.steps.unknown import UnknownStepType
from libs.domain.walk import is_over
from services.step_executor.store import activity, memberships
from services.step_executor.store.definitions import KnownFlows
from services.step_executor.store.memberships import Standing
from services.step_executor.use_cases.activity_log import needed_of

MISSED = Gauge(
    "millrace_missed_wakeups", "Standing waits that are over and that nothing woke. Must be 0."
)
_PAGE = 500
_FIRST = UUID(int=0)
_A_MOMENT = timedelta(microseconds=1)
_log = logger(__name__)


class WatchWaits:
    """Counts waits that should have been woken, a page of memberships at each look.

    Attributes:
        count: Those of the last whole pass, or more where this pass has found more.
    """

    def __init__(self, pool: Pool, clock: Clock, flows: KnownFlows, page: int = _PAGE) -> None:
        self._pool = pool
        self._clock = clock
        self._flows = flows
        self._page = page
        self._after = _FIRST
        self._found = 0
        self.count = 0

    async def look(self) -> None:
        """Look at one page; an outage leaves it for the next time."""
        with retry_later("waits.retried"):
            async with transaction(self._pool) as tx:
                last = await memberships.end_of_page(tx, self._after, self._page)
                standing = await memberships.waits(tx, self._after, last)
                flows = await self._flows.read(tx, {one.membership.flow_id for one in standing})
                standing = await _with_activity(tx, standing, flows, self._clock.now())
            self._found += sum(_is_missed(one, flows, self._clock.now()) for one in standing)
            self._after = last or _FIRST
            if last is None:
                self.count, self._found = self._found, 0
        self.count = max(self.count, self._found)
        MISSED.set(self.count)


async def _with_activity(
    tx: Transaction, standing: Sequence[Standing], flows: Mapping[UUID, Flow], now: datetime
) -> list[Standing]:
    """Add what rules may ask of what the contacts did."""
    needs = needed_of(flows, (one.membership for one in standing))
    past = await activity.read(tx, needs, now)
    return [
        one._replace(contact=replace(one.contact, activity=past.get(one.membership.contact_key)))
        for one in standing
    ]


def _is_missed(standing: Standing, flows: Mapping[UUID, Flow], now: datetime) -> bool:
    """Judge a wait as it would be judged now, or right before its timer was due.

    What its timer has to do is the timer's: who is overdue counts as stuck.
    """
    membership, contact, version = standing
    until, flow = membership.waiting_until, flows.get(membership.flow_id)
    if flow is None or flow.version != version:
        return False
    try:
        missed = is_over(flow, membership, contact, min(now, until - _A_MOMENT) if until else now)
    except UnknownStepType:
        return False
    if missed:
        _log.error("wait.missed", membership_id=str(membership.membership_id))
    return missed
