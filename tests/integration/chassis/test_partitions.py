"""Tables partitioned by time: partitions are there before they are needed, and go by age."""

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.partitions import TimePartitioned, maintain_partitions
from libs.chassis.postgres.pool import Pool, Transaction, transaction

SEEN = """
CREATE TABLE seen (
    number bigint GENERATED ALWAYS AS IDENTITY,
    what text NOT NULL DEFAULT 'nothing',
    seen_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (what, seen_at)
) PARTITION BY RANGE (seen_at);
CREATE INDEX ON seen (seen_at);
CREATE TABLE seen_default PARTITION OF seen DEFAULT;
"""


@pytest.fixture
async def seen(pool: Pool, tmp_path: Path) -> Pool:
    (tmp_path / "0001_seen.sql").write_text(SEEN)
    await migrate(pool, tmp_path)
    return pool


async def partitions(pool: Pool) -> list[str]:
    rows = await pool.fetch(
        "SELECT inhrelid::regclass::text AS name FROM pg_inherits"
        " WHERE inhparent = 'seen'::regclass ORDER BY 1"
    )
    return [row["name"] for row in rows]


async def put(pool: Pool, what: str, days_ago: float = 0) -> None:
    await pool.execute(
        "INSERT INTO seen (what, seen_at) VALUES ($1, now() - make_interval(secs => $2 * 86400))",
        what,
        days_ago,
    )


async def place_of(pool: Pool, what: str) -> str:
    place: str = await pool.fetchval(
        "SELECT tableoid::regclass::text FROM seen WHERE what = $1", what
    )
    return place


async def digits(pool: Pool, form: str, days_ahead: int = 0) -> str:
    said: str = await pool.fetchval(
        "SELECT to_char((now() + make_interval(days => $2)) AT TIME ZONE 'UTC', $1)",
        form,
        days_ahead,
    )
    return said


@pytest.mark.parametrize(
    ("period", "form"), [("hour", "YYYYMMDDHH24"), ("day", "YYYYMMDD"), ("month", "YYYYMM")]
)
async def test_b4_partitions_are_there_ahead_of_need(seen: Pool, period: str, form: str) -> None:
    table = TimePartitioned("seen", period, timedelta(days=3), ahead=3)  # type: ignore[arg-type]
    await maintain_partitions(seen, [table])
    made = await partitions(seen)
    assert len(made) == 5, "the default, the present one, three ahead"
    assert f"seen_p{await digits(seen, form)}" in made
    await put(seen, "a")
    assert await place_of(seen, "a") == f"seen_p{await digits(seen, form)}"
    await maintain_partitions(seen, [table])
    assert await partitions(seen) == made, "doing it again changes nothing"


async def test_b4_an_insert_never_fails_for_want_of_a_partition(seen: Pool) -> None:
    await put(seen, "early")
    await put(seen, "old", days_ago=2)
    assert await place_of(seen, "early") == "seen_default"
    await maintain_partitions(seen, [TimePartitioned("seen", "day", timedelta(days=3), ahead=1)])
    assert await place_of(seen, "early") == f"seen_p{await digits(seen, 'YYYYMMDD')}"
    assert await place_of(seen, "old") == f"seen_p{await digits(seen, 'YYYYMMDD', -2)}"
    assert await seen.fetchval("SELECT count(*) FROM ONLY seen_default") == 0


async def test_b4_what_is_older_than_kept_goes_by_partition(seen: Pool) -> None:
    for days in range(6):
        await put(seen, f"{days} days old", days)
    keep = TimePartitioned("seen", "day", timedelta(days=3))
    await maintain_partitions(seen, [keep])
    left = [row["what"] for row in await seen.fetch("SELECT what FROM seen ORDER BY seen_at DESC")]
    assert left[:4] == [f"{days} days old" for days in range(4)], "what is kept is kept"
    assert "5 days old" not in left
    await put(seen, "late", 5)
    assert await place_of(seen, "late") == "seen_default", "also what comes late finds a place"


async def test_b4_a_guard_keeps_a_partition_and_all_after_it(seen: Pool) -> None:
    for days in range(6):
        await put(seen, f"{days} days old", days)
    asked: list[datetime] = []

    async def not_yet(_tx: Transaction, ends: datetime) -> bool:
        asked.append(ends)
        return False

    guarded = TimePartitioned("seen", "day", timedelta(days=1), may_drop=not_yet)
    await maintain_partitions(seen, [guarded])
    assert await seen.fetchval("SELECT count(*) FROM seen") == 6
    assert len(asked) == 1


async def test_b4_many_processes_do_not_race(seen: Pool) -> None:
    for days in range(6):
        await put(seen, f"{days} days old", days)
    table = TimePartitioned("seen", "day", timedelta(days=1), ahead=4)
    await asyncio.gather(*(maintain_partitions(seen, [table]) for _ in range(8)))
    await maintain_partitions(seen, [table])
    assert len(await partitions(seen)) == 7


async def test_b4_a_locked_table_is_left_for_the_next_time(seen: Pool) -> None:
    table = TimePartitioned("seen", "day", timedelta(days=1))
    async with transaction(seen) as tx:
        await tx.execute("LOCK TABLE seen IN ACCESS EXCLUSIVE MODE")
        await maintain_partitions(seen, [table])
        assert await partitions(seen) == ["seen_default"]
    await maintain_partitions(seen, [table])
    assert len(await partitions(seen)) == 4


async def test_b4_a_key_holds_within_a_partition(seen: Pool) -> None:
    await maintain_partitions(seen, [TimePartitioned("seen", "day", timedelta(days=1))])
    insert = "INSERT INTO seen (what, seen_at) SELECT 'twice', now()"
    async with transaction(seen) as tx:
        await tx.execute(insert)
        with pytest.raises(asyncpg.UniqueViolationError):
            await tx.execute(insert)
