"""How far each partition of step.commands is behind, for those who send."""

from collections.abc import Mapping

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


async def write(tx: Transaction, seconds: Mapping[int, float]) -> None:
    """Write how many seconds each of these partitions is behind."""
    if seconds:
        await queries.write(tx, partitions=list(seconds), seconds=list(seconds.values()))
