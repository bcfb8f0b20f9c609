"""Walk memberships on whose deliveries were made by senders that do not own their partitions."""

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.outages import retry_later
from libs.contracts.step_commands import StepCommand
from services.step_executor.use_cases.record_results import RecordResults

_ROUNDS = 20
"""So many at a time; then others have their turn."""


class TakeResults:
    """Takes what senders have settled in the partitions this process owns."""

    def __init__(self, reader: Reader[StepCommand], record: RecordResults) -> None:
        self._reader = reader
        self._record = record

    async def take(self) -> None:
        """Take what there is, some at a time; an outage leaves it for the next time."""
        with retry_later("results.retried"):
            for _ in range(_ROUNDS):
                if not await self._record.is_any_settled(self._reader.armed):
                    break
                await self._reader.run_as_owner(self._record.of_others)
