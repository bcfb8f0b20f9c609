"""Where each partition stands, and what was taken from each source: both kept in Postgres."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from libs.chassis.postgres.pool import Transaction
from libs.chassis.postgres.statements import queries_beside

queries = queries_beside(__file__)

Taken = Mapping[tuple[int, str], int]
"""The highest number taken, by partition and source."""


@dataclass(slots=True)
class OwnedPartition:
    """One partition this process owns, as it believes; every transaction checks the belief.

    Attributes:
        next_offset: The offset of the first record not yet applied.
        epoch: The number of this ownership; a later owner has a higher one.
        watermarks: The highest number taken from each source.
        gap: The first offset that followed `next_offset` with a gap, as seen before the last seek.
            A gap that is seen again after the seek is legal: compaction or retention made it.
        timestamp_ms: When the last record that was applied was written, as Kafka says; None until
            the first one after arming.
        end_offset: Where the log ended when it was armed.
    """

    partition: int
    next_offset: int
    epoch: int
    watermarks: dict[str, int] = field(default_factory=dict)
    gap: int | None = None
    timestamp_ms: int | None = None
    end_offset: int = 0


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
    tx: Transaction,
    topic: str,
    owned: Sequence[OwnedPartition],
    next_offsets: Mapping[int, int],
    taken: Taken,
) -> set[int]:
    """Move positions on by compare-and-set, and with them what was taken from each source.

    Returns the partitions that are still ours; if one is missing, the transaction must not commit.
    """
    steps = {
        "topic": topic,
        "partitions": [one.partition for one in owned],
        "olds": [one.next_offset for one in owned],
        "news": [next_offsets[one.partition] for one in owned],
        "epochs": [one.epoch for one in owned],
    }
    if not taken:
        return {row["partition"] async for row in queries.advance(tx, **steps)}
    marks = {
        "taken_in": [partition for partition, _ in taken],
        "sources": [source for _, source in taken],
        "seqs": list(taken.values()),
    }
    return {row["partition"] async for row in queries.advance_numbered(tx, **steps, **marks)}


async def hold(tx: Transaction, topic: str, owned: Sequence[OwnedPartition]) -> set[int]:
    """Lock positions without moving them; give the partitions that are still ours."""
    rows = queries.hold(
        tx,
        topic=topic,
        partitions=[one.partition for one in owned],
        epochs=[one.epoch for one in owned],
    )
    return {row["partition"] async for row in rows}
