"""Up to where each partition has fired."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime

from libs.chassis.postgres.pool import Reads, Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)
LAST_NUMBER = 2**63 - 1


@dataclass(frozen=True, slots=True)
class Watermark:
    """Everything at or before (`fired_until`, `fired_number`) has been fired.

    The number is the highest there is where all of that instant has been fired, and a timer's own
    where a tick had to stop within it.
    """

    fired_until: datetime
    fired_number: int = LAST_NUMBER

    def has_passed(self, due_at: datetime) -> bool:
        """Say whether a new timer, whose number is higher than all, would be passed over."""
        return due_at < self.fired_until or (
            due_at == self.fired_until and self.fired_number == LAST_NUMBER
        )


_NEVER_FIRED = Watermark(datetime(1970, 1, 1, tzinfo=UTC), 0)


async def read(tx: Transaction, partitions: Collection[int]) -> dict[int, Watermark]:
    """Read the watermarks of these partitions."""
    marks = dict.fromkeys(partitions, _NEVER_FIRED)
    async for row in queries.read(tx, partitions=list(partitions)):
        marks[row["partition"]] = Watermark(row["fired_until"], row["fired_number"])
    return marks


async def move(tx: Transaction, marks: Mapping[int, Watermark]) -> None:
    """Move watermarks forward, never back."""
    await queries.move(
        tx,
        partitions=list(marks),
        fired_untils=[mark.fired_until for mark in marks.values()],
        fired_numbers=[mark.fired_number for mark in marks.values()],
    )


async def lowest(reads: Reads, partitions: int) -> datetime | None:
    """Say up to where all of so many partitions have fired; None if some never have."""
    instant: datetime | None = await queries.lowest(reads, partitions=partitions)
    return instant
