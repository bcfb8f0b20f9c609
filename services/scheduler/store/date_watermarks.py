"""How far each partition has followed time, for dates."""

from collections.abc import Collection, Mapping
from datetime import UTC, datetime

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside
from libs.domain.date_schedule import Passed

queries = queries_beside(__file__)
_NEVER = Passed(datetime(1970, 1, 1, tzinfo=UTC), 0)


async def read(tx: Transaction, partitions: Collection[int]) -> dict[int, Passed]:
    """Say how far these partitions are."""
    marks = dict.fromkeys(partitions, _NEVER)
    async for row in queries.read(tx, partitions=list(partitions)):
        marks[row["partition"]] = Passed(row["passed_until"], row["revision"])
    return marks


async def move(tx: Transaction, marks: Mapping[int, Passed]) -> None:
    """Move on, never back."""
    await queries.move(
        tx,
        partitions=list(marks),
        passed_untils=[mark.until for mark in marks.values()],
        revisions=[mark.revision for mark in marks.values()],
    )
