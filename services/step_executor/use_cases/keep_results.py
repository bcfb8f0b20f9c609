"""Results of this process's deliveries, from when they are known until they are recorded."""

from collections import defaultdict
from collections.abc import Sequence
from uuid import UUID

from libs.chassis import failpoints
from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.exactly_once.reader import Reader
from libs.chassis.exactly_once.records import Results
from libs.chassis.outages import is_outage
from libs.chassis.postgres.pool import Pool, Transaction, transaction
from libs.chassis.telemetry.logs import logger
from libs.contracts.step_commands import StepCommand
from services.step_executor.store import deliveries
from services.step_executor.store.deliveries import DeliveryKey, GivenBack, Result
from services.step_executor.use_cases.record_results import RecordResults

_log = logger(__name__)


class KeepResults:
    """Records results by their claim.

    Where this process owns the partition, the membership walks on in the same transaction. Else,
    and where another process turns out to own it by now or walking on fails, the result is written
    alone, and the owner takes it.
    """

    def __init__(
        self, pool: Pool, reader: Reader[StepCommand] | None, record: RecordResults
    ) -> None:
        self._pool = pool
        self._reader = reader
        self._record = record
        self._results: defaultdict[UUID, list[Result]] = defaultdict(list)
        self._given_back: defaultdict[UUID, list[GivenBack]] = defaultdict(list)

    def add(self, token: UUID, outcome: Result | GivenBack) -> None:
        """Keep what became of a delivery that was claimed under a lease."""
        if isinstance(outcome, Result):
            self._results[token].append(outcome)
        else:
            self._given_back[token].append(outcome)

    @property
    def is_empty(self) -> bool:
        """Whether everything is recorded."""
        return not self._results and not self._given_back

    @property
    def count(self) -> int:
        """How many results there are that are not recorded yet."""
        return sum(map(len, self._results.values()))

    def keys_under(self, token: UUID) -> list[DeliveryKey]:
        """Name the deliveries claimed under a lease of which something is still to be recorded."""
        kept = (*self._results.get(token, ()), *self._given_back.get(token, ()))
        return [one.key for one in kept]

    async def record(self) -> bool:
        """Record what is kept; say whether there was anything.

        Raises:
            Exception: At an outage. What was not recorded is still kept; recording twice what was
                recorded does no harm.
        """
        tokens = {*self._results, *self._given_back}
        for token in tokens:
            await self._give_back(token)
            await self._record_results(token)
        return bool(tokens)

    async def _give_back(self, token: UUID) -> None:
        given = list(self._given_back[token])
        if given:
            async with transaction(self._pool) as tx:
                await deliveries.give_back(tx, token, given)
        _remove(self._given_back, token, len(given))

    async def _record_results(self, token: UUID) -> None:
        results = list(self._results[token])
        owned = set(self._reader.armed) if self._reader else set()
        ours = [one for one in results if one.partition in owned]
        others = [one for one in results if one.partition not in owned]
        if ours and not await self._walk_on(token, ours):
            others = results
        if others:
            async with transaction(self._pool) as tx:
                await deliveries.settle(tx, token, others)
        if results:
            failpoints.reach("after_recording")
        _remove(self._results, token, len(results))

    async def _walk_on(self, token: UUID, results: Sequence[Result]) -> bool:
        """Record and walk on as the owner of the partitions; False if they are not all ours."""
        if self._reader is None:
            return False
        partitions = {one.partition for one in results}
        complete = False

        async def work(tx: Transaction, owned: Sequence[OwnedPartition]) -> Results:
            nonlocal complete
            ours = {one.partition for one in owned}
            complete = ours >= partitions
            mine = [one for one in results if one.partition in ours]
            return await self._record.of_this_process(tx, token, mine)

        try:
            return await self._reader.run_as_owner(work, partitions) and complete
        except Exception as error:
            if is_outage(error):
                raise
            _log.exception("results.not_walked_on", count=len(results))
            return False


def _remove(kept: defaultdict[UUID, list], token: UUID, count: int) -> None:  # type: ignore[type-arg]
    del kept[token][:count]
    if not kept[token]:
        del kept[token]
