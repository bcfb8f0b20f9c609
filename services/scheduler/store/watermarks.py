"""Up to where each shard has fired."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from libs.chassis.postgres import Transaction, queries_beside

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


async def read(tx: Transaction, shards: Iterable[int]) -> dict[int, Watermark]:
    """Read the watermarks of these shards."""
    rows = queries.read(tx, shards=sorted(shards))
    return {row["shard"]: Watermark(row["fired_until"], row["fired_number"]) async for row in rows}


async def move(tx: Transaction, marks: Mapping[int, Watermark]) -> None:
    """Move watermarks forward."""
    await queries.move(
        tx,
        shards=list(marks),
        fired_untils=[mark.fired_until for mark in marks.values()],
        fired_numbers=[mark.fired_number for mark in marks.values()],
    )


async def lowest(tx: Transaction, shards: int) -> datetime | None:
    """Say up to where all of so many shards have fired; None if some never have."""
    instant: datetime | None = await queries.lowest(tx, shards=shards)
    return instant
