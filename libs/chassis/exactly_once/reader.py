"""One service's reading of one topic: every record applied once, whatever dies in between.

README.md in this folder tells how; this is where the parts are put together.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Generic

import structlog

from libs.chassis.clock import Clock
from libs.chassis.exactly_once.batch import Batches, Work
from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.isolation import Isolation
from libs.chassis.exactly_once.ownership import Fenced, Log, Ownership
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publisher import Publisher
from libs.chassis.exactly_once.publishing import Publishing
from libs.chassis.exactly_once.records import Handler, Incoming, M
from libs.chassis.outages import Backoff
from libs.chassis.postgres.pool import Pool
from libs.chassis.telemetry import metrics

__all__ = ["Fenced", "Log", "Reader", "Work"]


class Reader(Generic[M]):
    """One service's reading of one topic."""

    def __init__(
        self, origin: Origin, handler: Handler[M], pool: Pool, publisher: Publisher
    ) -> None:
        self.origin = origin
        self.topic = origin.topic
        self._handler = handler
        self._pool = pool
        self._publisher = publisher
        self._lock = asyncio.Lock()
        self._backoff = Backoff()
        self._seconds = metrics.BATCH_SECONDS.labels(origin.topic)

    def attach(self, log: Log) -> None:
        """Say which log it reads."""
        self.log = log
        self.publishing = Publishing(self._publisher, self._pool, self._not_published)
        self.ownership = Ownership(self.origin, self._pool, log, self.publishing)
        self.batches = Batches(
            self._handler, self._pool, self._publisher, self.ownership, self.publishing, self.origin
        )
        self._isolation = Isolation(self.batches, self.ownership)

    def _not_published(self, failed: Mapping[str, Exception]) -> None:
        self.ownership.not_published(failed)

    @property
    def armed(self) -> dict[int, OwnedPartition]:
        """The partitions that are believed to be ours."""
        return self.ownership.armed

    @property
    def last_progress(self) -> float:
        """When records were last applied, or waited for with a reason (monotonic)."""
        return self.ownership.last_progress

    @last_progress.setter
    def last_progress(self, instant: float) -> None:
        self.ownership.last_progress = instant

    async def handle_batch(self, batch: Sequence[Incoming[M]]) -> None:
        """Apply a batch. It never raises for an outage: the records come again."""
        partitions = {incoming.partition for incoming in batch}
        try:
            async with self._lock:
                with self._seconds.time():
                    await self._apply(batch)
        except Exception as error:  # noqa: BLE001  (whatever it is, the records come again)
            self.ownership.back_off(error, partitions)
            await self._backoff.wait()
        else:
            self._backoff.reset()

    async def run_as_owner(self, work: Work, partitions: Iterable[int] | None = None) -> bool:
        """Let a loop do its work as the owner of these partitions (default: all armed ones).

        Steps 3 to 6 of a batch, without records. What the work returns is published like what a
        handler returns. Returns False if nothing could be done because none of the partitions is
        ours now.

        Raises:
            Exception: What the work or an outage raised; everything was undone, unless only the
                answer to the commit was lost.
        """
        async with self._lock:
            wanted = self.armed.keys() if partitions is None else self.armed.keys() & partitions
            owned = [self.armed[partition] for partition in sorted(wanted)]
            if not owned:
                return False
            try:
                await self.batches.apply_work(work, owned)
            except Fenced as fenced:
                self.ownership.lose(fenced.partitions)
                return False
            except Exception as error:
                self.ownership.back_off(error, {one.partition for one in owned})
                raise
        return True

    async def maintain(self) -> None:
        """Follow the assignment, and remember acknowledgements. Called a few times a second."""
        try:
            async with self._lock:
                await self.ownership.follow_assignment()
                await self.publishing.remember_acknowledgements()
        except Exception as error:  # noqa: BLE001  (tried again the next time)
            self.ownership.back_off(error, self.log.assigned() - self.armed.keys())
            await self._backoff.wait()

    async def settle(self) -> None:
        """Wait until everything that was committed has been published, or has failed to be."""
        await self.publishing.settle()

    def lag_seconds(self) -> dict[int, float]:
        """Say how far behind each armed partition is: 0 if all there is has been applied.

        Else the age, in real time, of the last record that was applied. A partition of which that
        is not known, because none was applied since it was armed, is left out. Costs no call.
        """
        now_ms = Clock().now().timestamp() * 1000
        lags = {one.partition: self._lag(one, now_ms) for one in list(self.armed.values())}
        return {partition: lag for partition, lag in lags.items() if lag is not None}

    def _lag(self, one: OwnedPartition, now_ms: float) -> float | None:
        end = max(one.end_offset, self.log.highwater(one.partition) or 0)
        if one.next_offset >= end:
            return 0.0
        if one.timestamp_ms is None:
            return None
        return max(0.0, (now_ms - one.timestamp_ms) / 1000)

    # Step 2 --------------------------------------------------------------------------------------

    async def _apply(self, batch: Sequence[Incoming[M]]) -> None:
        fresh, gaps = self._follow_on(batch)
        if gaps:
            await self.ownership.arm(gaps)
            for partition in gaps.keys() & self.armed.keys():
                self.armed[partition].gap = gaps[partition]
        if fresh:
            first = fresh[0]
            structlog.contextvars.bind_contextvars(
                batch=f"{self.topic}/{first.partition}@{first.offset}"
            )
            await self._isolation.apply_carefully(fresh)

    def _follow_on(self, batch: Sequence[Incoming[M]]) -> tuple[list[Incoming[M]], dict[int, int]]:
        """Keep what follows on where each partition stands; name the ones to arm (again).

        A batch that does not follow on may have been fetched before a seek, so it is thrown away
        and fetched again; only a gap that comes back is believed.
        """
        fresh: list[Incoming[M]] = []
        gaps: dict[int, int] = {}
        for partition, records in _by_partition(batch).items():
            owned, first = self.armed.get(partition), records[0].offset
            if owned is None or (first > owned.next_offset and first != owned.gap):
                gaps[partition] = first
            elif self.ownership.must_wait(partition):
                self.ownership.stay(partition)
            elif first >= owned.next_offset:
                fresh += records
            else:
                fresh += [one for one in records if one.offset >= owned.next_offset]
        return fresh, gaps


def _by_partition(batch: Sequence[Incoming[M]]) -> dict[int, list[Incoming[M]]]:
    grouped: defaultdict[int, list[Incoming[M]]] = defaultdict(list)
    for one in batch:
        grouped[one.partition].append(one)
    return grouped
