"""Finding the record that keeps its batch from being applied, so that it costs nobody else.

A batch that fails is halved until what fails stands alone. A record at fault is tried once more and
then goes to the dead-letter topic. A record that waits for something goes nowhere: its partition
waits with it, and all others go on.
"""

from collections.abc import Iterable, Sequence
from typing import Generic

from libs.chassis.exactly_once.batch import Batches
from libs.chassis.exactly_once.dead_letters import reason_for
from libs.chassis.exactly_once.ownership import Fenced, Ownership
from libs.chassis.exactly_once.records import Incoming, M
from libs.chassis.outages import concerns_all, is_fault


class Isolation(Generic[M]):
    """Applies batches whatever is in them."""

    def __init__(self, batches: Batches[M], ownership: Ownership) -> None:
        self._batches = batches
        self._ownership = ownership

    async def apply(self, records: Sequence[Incoming[M]]) -> None:
        """Apply records that still can be, isolating what cannot be applied.

        Raises:
            Exception: An outage that concerns them all.
        """
        records = self._still_possible(records)
        if not records:
            return
        try:
            await self._batches.apply(records)
        except Fenced as fenced:
            self._ownership.lose(fenced.partitions)
            await self.apply(records)
        except Exception as error:
            if concerns_all(error):
                raise
            await self._isolate(records, error)

    async def apply_carefully(self, records: Sequence[Incoming[M]]) -> None:
        """Apply records, first by itself the one each waiting partition waits with."""
        tried: set[int] = set()
        for one in records:
            if one.partition in self._ownership.waiting and one.partition not in tried:
                tried.add(one.partition)
                await self.apply([one])
        await self.apply(records)

    async def _isolate(self, records: Sequence[Incoming[M]], error: Exception) -> None:
        if len(records) == 1:
            await self._settle_one(records[0], error)
            return
        middle = len(records) // 2
        await self.apply(records[:middle])
        await self.apply(records[middle:])

    async def _settle_one(self, record: Incoming[M], error: Exception) -> None:
        """Let a record that failed alone wait, or try it once more and put it aside."""
        if record.fault is not None or not is_fault(error):
            self._ownership.hold_back(record.partition, error)
            return
        if not self._still_possible([record]):
            return
        try:
            await self._batches.apply([record])
        except Fenced as fenced:
            self._ownership.lose(fenced.partitions)
        except Exception as again:
            if concerns_all(again):
                raise
            if is_fault(again):
                record.fault = reason_for(again)
            await self.apply([record])

    def _still_possible(self, records: Iterable[Incoming[M]]) -> list[Incoming[M]]:
        """Keep what still follows on: of partitions neither let go of nor waiting, not applied yet.

        Publishing goes on meanwhile, and lets go of a partition when it fails.
        """
        armed, must_wait = self._ownership.armed, self._ownership.must_wait
        return [
            one
            for one in records
            if one.partition in armed
            and one.offset >= armed[one.partition].next_offset
            and not must_wait(one.partition)
        ]
