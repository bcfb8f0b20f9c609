"""The loop of a sender: claim, judge, make, record; as many deliveries at once as is allowed.

Claims and results of many deliveries share a transaction. Composing and handing over happen outside
of all transactions. What was claimed when its sender died may have arrived or not: it is made again
under the same Message-ID or Idempotency-Key, and counted. Channels share this loop, and no room: a
webhook that hangs takes none from mails.
"""

import asyncio
import contextlib
import time
from collections.abc import Sequence

from libs.chassis import failpoints
from libs.chassis.outages import Backoff, is_outage
from libs.chassis.telemetry.logs import logger
from services.step_executor.deliveries.judgement import Later, Over, judge
from services.step_executor.deliveries.lease import Lease
from services.step_executor.loops.outlets import Outlet
from services.step_executor.store.deliveries import DeliveryKey, GivenBack, Job, Result
from services.step_executor.use_cases.claim_deliveries import ClaimDeliveries
from services.step_executor.use_cases.keep_results import KeepResults

_SOONEST_SECONDS, _LATEST_SECONDS = 0.02, 1.0
_LOOK_FOR_LOST_SECONDS = 5.0
_PATIENCE_SECONDS = 5.0
"""So long all others wait for a delivery that is to be made alone; an answer may take minutes."""
_SUSPECTS_AGAIN_SECONDS = 5.0
_log = logger(__name__)


class SendDeliveries:
    """Any number of processes may run it; none needs a partition."""

    def __init__(
        self,
        claims: ClaimDeliveries,
        outlets: Sequence[Outlet],
        results: KeepResults,
        lease: Lease,
        marketing_max_lag_seconds: float,
        something_to_do: asyncio.Event | None = None,
    ) -> None:
        self._claims = claims
        self._outlets = {outlet.channel: outlet for outlet in outlets}
        self._results = results
        self._lease = lease
        self._max_lag_seconds = marketing_max_lag_seconds
        self._in_flight: dict[DeliveryKey, asyncio.Task[None]] = {}
        self._suspects: list[Job] = []
        self._alone: DeliveryKey | None = None
        self._patient_until = 0.0
        self._something_to_do = something_to_do or asyncio.Event()
        self._idle_seconds = _SOONEST_SECONDS
        self._look_for_lost_at = 0.0
        self._backoff = Backoff()

    async def run(self, stopping: asyncio.Event) -> None:
        """Go on until told to stop; then let what is under way end, and record it as it ends."""
        while not stopping.is_set():
            await self._turn(claiming=True)
            await self._pause()
        self._let_suspects_go()
        for outlet in self._outlets.values():
            outlet.let_waiting_go()
        await self._turn(claiming=False)
        while self._in_flight or not self._results.is_empty:
            await self._pause()
            await self._turn(claiming=False)

    async def _turn(self, *, claiming: bool) -> None:
        """Record what has ended, begin what there is room for; an outage leaves it for later."""
        try:
            busy = await self._results.record()
            if claiming:
                await self._give_lost_claims_back()
                busy = await self._begin_some() or busy
        except Exception as error:
            if not is_outage(error):
                raise
            _log.warning("deliveries.retried", reason=repr(error))
            await self._backoff.wait()
        else:
            self._backoff.reset()
            self._idle_seconds = (
                _SOONEST_SECONDS if busy else min(self._idle_seconds * 2, _LATEST_SECONDS)
            )

    async def _pause(self) -> None:
        """Wait until an attempt ends or a mail is planned here, or a moment."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._something_to_do.wait(), self._idle_seconds)
            self._idle_seconds = _SOONEST_SECONDS
        self._something_to_do.clear()

    async def _give_lost_claims_back(self) -> None:
        """Give back what is claimed in our name without our knowing.

        That happens where a claim was committed and the answer was lost: while our lease goes on,
        nobody else would take it over.
        """
        if time.monotonic() < self._look_for_lost_at:
            return
        token = self._lease.token
        known = [*self._in_flight, *(job.claimed.key for job in self._suspects)]
        known += self._results.keys_under(token)
        if count := await self._claims.give_back_others(token, known):
            _log.warning("deliveries.lost_claims_given_back", count=count)
        self._look_for_lost_at = time.monotonic() + _LOOK_FOR_LOST_SECONDS

    async def _begin_some(self) -> bool:
        """Begin what there is room for; say whether there was anything to begin.

        A delivery whose former sender died is made alone: one that kills its sender takes no
        others with it. The others wait for it, but not for long: then it is left for later.
        """
        self._let_blocked_suspects_go()
        if self._suspects or self._alone in self._in_flight:
            if self._is_patient():
                return self._begin_alone()
            self._let_suspects_go(_SUSPECTS_AGAIN_SECONDS)
        if self._lease.has_run_out():
            return False
        await self._claims.make_due()
        begun = [await self._claim(outlet) for outlet in self._outlets.values()]
        return any(begun)

    async def _claim(self, outlet: Outlet) -> bool:
        # What was made and is not recorded yet counts too: if we died, it would be made again.
        jobs = await outlet.claim(self._lease.token, self._results.count)
        if jobs:
            failpoints.reach("after_claim")
        for job in jobs:
            self._take(job)
        return bool(jobs)

    def _is_patient(self) -> bool:
        """Say whether the others still wait; what is over in some seconds is waited for anyway."""
        if time.monotonic() < self._patient_until:
            return True
        brief = sum(one.in_flight for one in self._outlets.values() if one.is_brief)
        return self._alone not in self._in_flight and 0 < brief == len(self._in_flight)

    def _begin_alone(self) -> bool:
        if self._in_flight or not self._suspects:
            return False
        job = self._suspects.pop(0)
        self._alone = job.claimed.key
        self._be_patient()
        self._begin(job)
        return True

    def _suspect(self, job: Job) -> None:
        if not self._suspects:
            self._be_patient()
        self._suspects.append(job)

    def _be_patient(self) -> None:
        self._patient_until = time.monotonic() + _PATIENCE_SECONDS

    def _let_blocked_suspects_go(self) -> None:
        """Give those back whose target is down: they are no different from others there."""
        waiting: list[Job] = []
        for job in self._suspects:
            if self._outlets[job.claimed.channel].is_blocked(job.claimed):
                self._results.add(job.token, GivenBack(job.claimed.key, 0.0))
            else:
                waiting.append(job)
        self._suspects = waiting

    def _let_suspects_go(self, wait_seconds: float = 0.0) -> None:
        for job in self._suspects:
            self._results.add(job.token, GivenBack(job.claimed.key, wait_seconds))
        self._suspects.clear()

    def _take(self, job: Job) -> None:
        claimed, limit = job.claimed, self._max_lag_seconds
        match judge(claimed, job.circumstances, max_lag_seconds=limit):
            case Over(outcome, reason):
                result = Result(claimed.key, claimed.partition, outcome, reason)
                self._results.add(job.token, result)
            case Later(seconds, reason):
                _log.debug("delivery.held", reason=reason, flow_id=str(claimed.flow_id))
                self._results.add(job.token, GivenBack(claimed.key, seconds))
            case _ if claimed.takeovers:
                self._suspect(job)
            case _:
                self._begin(job)

    def _begin(self, job: Job) -> None:
        self._outlets[job.claimed.channel].began(job.claimed)
        self._in_flight[job.claimed.key] = asyncio.create_task(self._deliver(job))

    async def _deliver(self, job: Job) -> None:
        """Make a delivery; where the process is ending, its claim tells that it was under way."""
        try:
            self._results.add(job.token, await self._attempt(job))
        finally:
            del self._in_flight[job.claimed.key]
            self._outlets[job.claimed.channel].ended(job.claimed)
            self._something_to_do.set()

    async def _attempt(self, job: Job) -> Result | GivenBack:
        key = job.claimed.key
        try:
            return await self._outlets[job.claimed.channel].make(job)
        except BaseException as error:
            if _ends_the_process(error):
                raise
            _log.warning("delivery.not_made", exc_info=error)
            if is_outage(error):
                return GivenBack(key, 1.0)
            return Result(key, job.claimed.partition, "failed", repr(error))


def _ends_the_process(error: BaseException) -> bool:
    """Tell the end of this task or process from what one delivery has raised, whatever it is."""
    if isinstance(error, asyncio.CancelledError):
        task = asyncio.current_task()
        return task is None or task.cancelling() > 0
    return isinstance(error, KeyboardInterrupt | SystemExit | GeneratorExit)
