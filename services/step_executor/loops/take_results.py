"""Walk memberships on whose deliveries were made by senders that do not own their partitions."""

from collections.abc import Sequence
from functools import partial

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.outages import is_outage, retry_later
from libs.chassis.telemetry.logs import logger
from libs.contracts.step_commands import StepCommand
from services.step_executor.store.deliveries import Finished
from services.step_executor.use_cases.record_results import AT_ONCE, RecordResults

_ROUNDS = 20
"""So many at a time; then others have their turn."""
_log = logger(__name__)


class TakeResults:
    """Takes what senders have settled in the partitions this process owns.

    Where the transaction of many fails by a fault, they are taken one by one, and the one at fault
    is put aside. A fault ends neither this loop nor the process: the next owner would meet it too.
    """

    def __init__(self, reader: Reader[StepCommand], record: RecordResults) -> None:
        self._reader = reader
        self._record = record
        self._suspicious = 0

    async def take(self) -> None:
        """Take what there is, some at a time; an outage leaves it for the next time."""
        with retry_later("results.retried"):
            for _ in range(_ROUNDS):
                if not await self._record.is_any_settled(self._reader.armed):
                    break
                await self._take_some()

    async def _take_some(self) -> None:
        taken: list[Finished] = []
        at_most = 1 if self._suspicious else AT_ONCE
        work = partial(self._record.of_others, at_most=at_most, taken=taken)
        try:
            await self._reader.run_as_owner(work)
        except Exception as error:
            if is_outage(error):
                raise
            await self._look_for_fault(taken, error)
        else:
            self._suspicious = max(0, self._suspicious - len(taken))

    async def _look_for_fault(self, taken: Sequence[Finished], error: Exception) -> None:
        """Put a result aside if it is the one; else go on with those that were taken one by one.

        The fault has cost us the partitions: what is left is taken when they are ours again.
        """
        if len(taken) == 1:
            await self._record.put_aside(taken[0], error)
            self._suspicious = max(0, self._suspicious - 1)
        else:
            _log.error("results.not_taken", count=len(taken), exc_info=error)
            self._suspicious = len(taken)
