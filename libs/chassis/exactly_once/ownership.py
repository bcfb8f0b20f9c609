"""Step 1: which partitions this process owns, and how it takes them over, waits and lets go.

A partition that is assigned to us is in one of four states:

    not armed   nothing of it is fetched; what was fetched is thrown away, it comes again
    armed       we believe that it is ours; every transaction checks it
    waiting     armed, but what its next record needs is not there: it is read again a little later
    cooling     not armed for a moment: it was lost to another owner, or its outbox is blocked
"""

import time
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from libs.chassis.exactly_once import outbox, positions
from libs.chassis.exactly_once.dead_letters import Origin
from libs.chassis.exactly_once.outbox import Chunk
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.publishing import Publishing
from libs.chassis.outages import Backoff, NotPublished, concerns_all
from libs.chassis.postgres.pool import Pool, transaction
from libs.chassis.telemetry import metrics
from libs.chassis.telemetry.logs import logger

COOL_DOWN_SECONDS = 3.0
"""After losing a partition: time for a heartbeat to say whether it is still assigned to us."""
_log = logger(__name__)


class Fenced(Exception):  # noqa: N818  (a fact, not a fault)
    """Another process owns these partitions now."""

    def __init__(self, partitions: Iterable[int]) -> None:
        super().__init__(f"partitions {sorted(partitions)} have another owner")
        self.partitions = set(partitions)


class Log(Protocol):
    """The partitioned log as a batch needs it; on Kafka it is `kafka.subscription.Subscription`."""

    @property
    def assignments(self) -> int:
        """How often partitions were assigned; each time all of them are paused."""
        ...

    def assigned(self) -> set[int]:
        """Give the partitions that are assigned to this process now."""
        ...

    def seek(self, partition: int, offset: int) -> None:
        """Read on from an offset; what was fetched before is thrown away."""
        ...

    def pause(self, partition: int) -> None:
        """Fetch nothing of a partition for a while."""
        ...

    def resume(self, partition: int) -> None:
        """Fetch from a partition again."""
        ...

    def highwater(self, partition: int) -> int | None:
        """Give the offset after the last record, as of the last fetch; None if never fetched."""
        ...

    async def bounds(self, partitions: Sequence[int]) -> dict[int, tuple[int, int]]:
        """Ask for the first offset there is, and the one after the last, of each partition."""
        ...


@dataclass(slots=True)
class Wait:
    """A partition that waits: until when, and for longer each time.

    It sleeps until `follow_assignment` wakes it, which never happens in the middle of a batch: what
    follows in the batch must not be applied before what waits.
    """

    asleep: bool = True
    until: float = 0.0
    backoff: Backoff = field(default_factory=Backoff)


class Ownership:
    """The partitions of one topic that one process owns."""

    def __init__(self, origin: Origin, pool: Pool, log: Log, publishing: Publishing) -> None:
        self.armed: dict[int, OwnedPartition] = {}
        self.waiting: dict[int, Wait] = {}
        self.last_progress = time.monotonic()
        self._origin = origin
        self._topic = origin.topic
        self._pool = pool
        self._log = log
        self._publishing = publishing
        self._assignments = 0
        self._cooling: dict[int, float] = {}
        self.blocked: set[int] = set()

    def source(self, partition: int) -> str:
        """Name who numbers what the records of a partition cause."""
        return f"{self._origin.service}/{self._topic}/{partition}"

    def is_ours(self, one: OwnedPartition) -> bool:
        """True if we still believe in this very ownership."""
        return self.armed.get(one.partition) is one

    # Taking over ---------------------------------------------------------------------------------

    async def follow_assignment(self) -> None:
        """Let go of what was taken away, arm what was assigned, wake what has waited enough.

        Arming does not wait for records, because the outbox of a partition may hold some that its
        former owner did not get to publish.
        """
        assigned = self._log.assigned()
        self.release(self.armed.keys() - assigned)
        if self._log.assignments != self._assignments:
            self._assignments = self._log.assignments
            self._read_on()
        self._wake(assigned)
        await self.arm(assigned - self.armed.keys())

    def _read_on(self) -> None:
        """Go on with what stayed ours when partitions were given out anew."""
        for partition, one in self.armed.items():
            self._log.seek(partition, one.next_offset)
            if not self.must_wait(partition):
                self._log.resume(partition)

    async def arm(self, partitions: Iterable[int]) -> None:
        """Take partitions over, if they may be just now: fence, publish what is left, seek.

        Raises:
            NotPublished: If nothing can be published at all.
        """
        now = time.monotonic()
        wanted = sorted(one for one in partitions if self._cooling.get(one, 0.0) <= now)
        if not wanted:
            return
        async with transaction(self._pool) as tx:
            armed = await positions.arm(tx, self._topic, wanted)
            unsent = await outbox.unsent(tx, [self.source(one) for one in wanted])
        await self._check_bounds(armed)
        blocked = await self._publish_unsent(unsent)
        for one in armed.values():
            if self.source(one.partition) not in blocked:
                self._log.seek(one.partition, one.next_offset)
                self._log.resume(one.partition)
                self.armed[one.partition] = one
        self._note_armed(armed.keys(), {one for one in wanted if self.source(one) in blocked})

    async def _publish_unsent(self, unsent: Sequence[Chunk]) -> Mapping[str, Exception]:
        """Publish what the outbox still holds; give the sources whose outbox is blocked.

        What fails together is tried source by source, so that one whose record no topic takes does
        not keep the others from being armed.
        """
        failed = await self._publishing.publish(unsent)
        blocked: dict[str, Exception] = {}
        for source in failed:
            alone = [chunk for chunk in unsent if chunk.source == source]
            if error := (await self._publishing.publish(alone)).get(source):
                blocked[source] = error
                if concerns_all(error) and getattr(error, "retriable", True):
                    raise NotPublished(repr(error)) from error
        metrics.RESENT.inc(
            sum(len(chunk.records) for chunk in unsent if chunk.source not in blocked)
        )
        return blocked

    def _note_armed(self, wanted: Collection[int], blocked: set[int]) -> None:
        for partition in blocked:
            _log.error("outbox.blocked", topic=self._topic, partition=partition)
            self.last_progress = time.monotonic()  # it waits for people; a new process is no help
        self._cool(blocked)
        self.blocked = (self.blocked - set(wanted)) | blocked
        metrics.BLOCKED.labels(self._topic).set(len(self.blocked))
        metrics.ARMED.labels(self._topic).inc(len(wanted) - len(blocked))
        metrics.ASSIGNED.labels(self._topic).set(len(self.armed))
        _log.info("partitions.armed", topic=self._topic, partitions=sorted(set(wanted) - blocked))

    async def _check_bounds(self, armed: Mapping[int, OwnedPartition]) -> None:
        """Compare where partitions stand with what the log has; a recreated topic is refused."""
        for partition, (first, end) in (await self._log.bounds(list(armed))).items():
            one = armed[partition]
            one.end_offset = end
            if one.next_offset > end:
                raise RuntimeError(
                    f"{self._topic}/{partition} ends at {end}, but {one.next_offset} was read "
                    "already: the topic was deleted and made again, or another cluster is meant"
                )
            if 0 < one.next_offset < first:
                _log.error("records.lost_to_retention", topic=self._topic, partition=partition)
                metrics.GAPS.labels(self._topic).inc()

    # Letting go ----------------------------------------------------------------------------------

    def release(self, partitions: Iterable[int]) -> None:
        """Believe no more in owning these; arming reads the truth."""
        gone = list(partitions)
        if not gone:
            return
        for partition in gone:
            self.armed.pop(partition, None)
            self.waiting.pop(partition, None)
            self._log.pause(partition)
        metrics.ASSIGNED.labels(self._topic).set(len(self.armed))
        metrics.WAITING.labels(self._topic).set(len(self.waiting))

    def lose(self, partitions: Collection[int]) -> None:
        """Let go of what another process owns, and wait before asking for it again."""
        _log.warning("partitions.fenced", topic=self._topic, partitions=sorted(partitions))
        metrics.FENCED.labels(self._topic).inc()
        self.release(partitions)
        self._cool(partitions)

    def not_published(self, failed: Mapping[str, Exception]) -> None:
        """Let go of the partitions whose records were not published: arming sends them again."""
        lost = {partition for partition in self.armed if self.source(partition) in failed}
        self.back_off(NotPublished(repr(next(iter(failed.values())))), lost)

    def back_off(self, error: Exception, partitions: Iterable[int]) -> None:
        """Let go of partitions after an error; say what it was."""
        self.release(partitions)
        metrics.OUTAGES.labels(self._topic).inc()
        if concerns_all(error):
            self.last_progress = time.monotonic()
            _log.warning("batch.retried", topic=self._topic, reason=repr(error))
        else:
            _log.error("batch.failed", topic=self._topic, exc_info=error)

    def _cool(self, partitions: Iterable[int]) -> None:
        self._cooling.update(dict.fromkeys(partitions, time.monotonic() + COOL_DOWN_SECONDS))

    # Waiting -------------------------------------------------------------------------------------

    def hold_back(self, partition: int, error: Exception) -> None:
        """Let a partition wait, longer each time, and then read on from where it stands."""
        if partition not in self.armed:
            return
        wait = self.waiting.setdefault(partition, Wait())
        wait.asleep, wait.until = True, time.monotonic() + wait.backoff.next()
        self.stay(partition)
        self.last_progress = time.monotonic()
        metrics.OUTAGES.labels(self._topic).inc()
        metrics.WAITING.labels(self._topic).set(len(self.waiting))
        _log.warning(
            "partition.waiting", topic=self._topic, partition=partition, reason=repr(error)
        )

    def stay(self, partition: int) -> None:
        """Fetch nothing of a partition for now; the first record it gets then is the next one."""
        self._log.pause(partition)
        self._log.seek(partition, self.armed[partition].next_offset)

    def must_wait(self, partition: int) -> bool:
        """True while a partition is held back."""
        wait = self.waiting.get(partition)
        return wait is not None and wait.asleep

    def moved_on(self, partition: int) -> None:
        """Note that what a partition waited for, if anything, has come."""
        if self.waiting.pop(partition, None):
            metrics.WAITING.labels(self._topic).set(len(self.waiting))

    def _wake(self, assigned: Collection[int]) -> None:
        for partition in self.waiting.keys() & assigned:
            wait = self.waiting[partition]
            if wait.asleep and wait.until <= time.monotonic():
                wait.asleep = False
                self._log.resume(partition)
