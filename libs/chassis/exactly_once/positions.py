"""Where each partition stands, and what was taken from each source: both kept in Postgres."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)


@dataclass(slots=True)
class OwnedPartition:
    """One partition this process owns, as it believes; every transaction checks the belief.

    Attributes:
        next_offset: The offset of the first record not yet applied.
        epoch: The number of this ownership; a later owner has a higher one.
        watermarks: The highest number taken from each source.
        gap: The first offset that followed `next_offset` with a gap, as seen before the last seek.
            A gap that is seen again after the seek is legal: compaction or retention made it.
    """

    partition: int
    next_offset: int
    epoch: int
    watermarks: dict[str, int] = field(default_factory=dict)
    gap: int | None = None


async def arm(tx: Transaction, topic: str, partitions: Sequence[int]) -> dict[int, OwnedPartition]:
    """Take partitions over: fence the former owner and read where they stand."""
    armed = {
        row["partition"]: OwnedPartition(row["partition"], row["next_offset"], row["epoch"])
        async for row in queries.arm(tx, topic=topic, partitions=partitions)
    }
    async for row in queries.watermarks(tx, topic=topic, partitions=partitions):
        armed[row["partition"]].watermarks[row["source"]] = row["last_seq"]
    return armed


async def advance(
    tx: Transaction, topic: str, armed: Sequence[OwnedPartition], news: Mapping[int, int]
) -> set[int]:
    """Move positions on by compare-and-set; give the partitions that are still ours."""
    rows = queries.advance(
        tx,
        topic=topic,
        partitions=[one.partition for one in armed],
        olds=[one.next_offset for one in armed],
        news=[news[one.partition] for one in armed],
        epochs=[one.epoch for one in armed],
    )
    return {row["partition"] async for row in rows}


async def hold(tx: Transaction, topic: str, armed: Sequence[OwnedPartition]) -> set[int]:
    """Lock positions without moving them; give the partitions that are still ours."""
    rows = queries.hold(
        tx,
        topic=topic,
        partitions=[one.partition for one in armed],
        epochs=[one.epoch for one in armed],
    )
    return {row["partition"] async for row in rows}


async def raise_watermarks(
    tx: Transaction, topic: str, taken: Iterable[tuple[int, str, int]]
) -> None:
    """Remember (partition, source, number) for every source the batch took from."""
    if rows := list(taken):
        partitions, sources, seqs = zip(*rows, strict=True)
        await queries.raise_watermarks(
            tx, topic=topic, partitions=partitions, sources=sources, seqs=seqs
        )
