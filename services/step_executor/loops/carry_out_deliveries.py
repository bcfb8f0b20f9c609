"""Carry deliveries out: claim, send, write down, with bounded concurrency.

Before a mail is handed over, the journal says that it is about to be (`sending`); afterwards it
says how that ended, in one transaction with what is said about it. Claims and results of many
deliveries share a transaction. What was `sending` when its owner died may have arrived or not: it
is sent again under the same Message-ID, and counted.
"""

import asyncio
import contextlib
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Literal

from prometheus_client import Counter

from libs.chassis import failpoints
from libs.chassis.clock import Clock
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Outgoing
from libs.chassis.outages import Backoff, is_outage
from libs.chassis.postgres.pool import Transaction
from libs.chassis.telemetry.logs import logger
from libs.contracts.delivery_commands import DeliveryCommand
from libs.contracts.step_commands import FinishDelivery
from libs.contracts.timer_commands import SetTimer
from services.step_executor.deliveries.smtp import MailServer
from services.step_executor.settings import Settings
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import Claimed, DeliveryKey, Ended
from services.step_executor.use_cases.finish import finished, retry_at

DELIVERIES = Counter("millrace_deliveries_total", "Attempts, by how they ended.", ["outcome"])
AMBIGUOUS = Counter(
    "millrace_deliveries_ambiguous_total",
    "Deliveries sent again because a former owner died between sending and writing it down.",
)
_LOOK_SECONDS = 0.05
_FIRST_RETRY, _LONGEST_RETRY = timedelta(seconds=1), timedelta(minutes=15)
_log = logger(__name__)


class CarryOutDeliveries:
    """The loop that sends what was journalled, in the partitions this process owns."""

    def __init__(
        self,
        reader: Reader[DeliveryCommand],
        server: MailServer,
        clock: Clock,
        settings: Settings,
    ) -> None:
        self._reader = reader
        self._server = server
        self._clock = clock
        self._settings = settings
        self._sending: dict[DeliveryKey, asyncio.Task[None]] = {}
        self._ended: list[Ended] = []
        self._something_ended = asyncio.Event()
        self._backoff = Backoff()

    async def run(self, stopping: asyncio.Event) -> None:
        """Claim and send until told to stop; then let what is under way end, and write it down."""
        while not stopping.is_set():
            await self._round(self._room())
            await self._pause()
        while self._sending:
            await asyncio.wait(self._sending.values())
            await self._round(0)
        await self._round(0)
        await self._server.close()

    def _room(self) -> int:
        return self._settings.deliveries_at_once - len(self._sending)

    async def _pause(self) -> None:
        """Wait until an attempt ends, or a moment, for new work to arrive."""
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._something_ended.wait(), _LOOK_SECONDS)
        self._something_ended.clear()

    async def _round(self, room: int) -> None:
        ended = self._still_ours()
        claimed: list[Claimed] = []
        written: list[Ended] = []

        async def work(tx: Transaction, owned: Sequence[OwnedPartition]) -> list[Outgoing]:
            partitions = {one.partition for one in owned}
            written.extend(one for one in ended if one.claimed.partition in partitions)
            outgoing = await self._write_down(tx, written)
            claimed.extend(await self._claim(tx, owned, room, ended))
            return outgoing

        if not ended and room <= 0:
            return
        try:
            done = await self._reader.turn(work)
        except Exception as error:
            if not is_outage(error):
                raise
            # Whether the transaction was committed is not known: writing it down again does no
            # harm, and a claim that was committed is found again under the next epoch.
            _log.warning("deliveries.retried", reason=repr(error))
            await self._backoff.wait()
        else:
            self._backoff.reset()
            if done:
                self._ended = [one for one in self._ended if one not in written]
                self._send_all(claimed)

    def _still_ours(self) -> list[Ended]:
        """Forget results of partitions that were taken away: their new owner sends those again."""
        assigned = self._reader.log.assigned()
        self._ended = [one for one in self._ended if one.claimed.partition in assigned]
        return list(self._ended)

    async def _write_down(self, tx: Transaction, ended: Sequence[Ended]) -> list[Outgoing]:
        known = await deliveries.finish(tx, ended)
        now = self._clock.now()
        return [
            Outgoing(self._message(one, now), one.claimed.partition)
            for one in ended
            if one.claimed.key in known
        ]

    def _message(self, ended: Ended, now: datetime) -> FinishDelivery | SetTimer:
        if ended.outcome == "retry":
            return retry_at(ended.claimed, self._clock.in_real(pause_after(ended.claimed)), now)
        return finished(ended.claimed, ended.outcome, ended.reason, now)

    async def _claim(
        self, tx: Transaction, owned: Sequence[OwnedPartition], room: int, ended: Sequence[Ended]
    ) -> list[Claimed]:
        if room <= 0:
            return []
        busy = {*self._sending, *(one.claimed.key for one in ended)}
        claimed, ambiguous = await deliveries.claim(tx, owned, busy, room)
        if ambiguous:
            AMBIGUOUS.inc(ambiguous)
            _log.warning("deliveries.ambiguous", count=ambiguous)
        return claimed

    def _send_all(self, claimed: Sequence[Claimed]) -> None:
        for one in claimed:
            self._sending[one.key] = asyncio.create_task(self._send(one))

    async def _send(self, claimed: Claimed) -> None:
        failpoints.reach("before_send")
        answer = await self._server.hand_over(claimed.rendered)
        failpoints.reach("after_send")
        outcome: Literal["sent", "failed", "retry"] = answer.outcome
        if outcome == "retry" and claimed.attempt >= self._settings.delivery_attempts:
            outcome = "failed"
        DELIVERIES.labels(outcome).inc()
        if outcome != "sent":
            _log.warning("delivery.not_sent", outcome=outcome, reason=answer.reason)
        self._ended.append(Ended(claimed, outcome, answer.reason))
        del self._sending[claimed.key]
        self._something_ended.set()


def pause_after(claimed: Claimed) -> timedelta:
    """Say how long to wait, in real time, before the next attempt: longer after each."""
    doubled: int = 1 << min(claimed.attempt - 1, 20)
    return min(_FIRST_RETRY * doubled, _LONGEST_RETRY)
