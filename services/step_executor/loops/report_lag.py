"""Say how far the partitions of this process are behind: senders hold marketing mail by it."""

from libs.chassis.exactly_once.reader import Reader
from libs.chassis.outages import retry_later
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.step_commands import StepCommand
from services.step_executor.store import partition_lag


class ReportLag:
    """Writes the lag of the partitions this process owns."""

    def __init__(self, pool: Pool, reader: Reader[StepCommand]) -> None:
        self._pool = pool
        self._reader = reader

    async def report(self) -> None:
        """Write it; an outage leaves it for the next time."""
        with retry_later("lag.retried"):
            async with transaction(self._pool) as tx:
                await partition_lag.write(tx, self._reader.lag_seconds())
