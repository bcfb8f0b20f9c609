"""The read models following membership.events, on a real database."""

import random
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.chassis.exactly_once.records import Received
from libs.chassis.postgres.pool import Pool, transaction
from libs.contracts.membership_events import MembershipChanged, MembershipEvent
from services.api.handlers import membership_events
from services.api.store import counts, memberships, refusals
from services.api.store.counts import Counts
from services.api.store.memberships import StoredMembership
from tests.integration.api.messages import (
    COMPLETED,
    DROPPED,
    ENTERED,
    WAITED,
    WAITING,
    Journey,
    Told,
    a_journey,
    a_refusal,
    tell,
)
from tests.support.builders import FLOW, NOW, WORKSPACE

OPENED: Told = ("email_opened", {})


async def stored(pool: Pool, journey: Journey) -> StoredMembership:
    found = await memberships.read(pool, WORKSPACE, FLOW, journey.membership_id)
    assert found is not None
    return found


async def kinds(pool: Pool, journey: Journey) -> list[str]:
    return [entry.kind for entry in (await stored(pool, journey)).timeline]


async def counted(pool: Pool) -> Counts | None:
    return (await counts.read(pool, [FLOW])).get(FLOW)


async def rows(pool: Pool, table: str) -> int:
    return int(await pool.fetchval(f"SELECT count(*) FROM {table}"))  # noqa: S608  (a test's own)


async def test_a_membership_lives(api_pool: Pool) -> None:
    journey = a_journey(context={"coupon": "SAVE20", "n": 3, "none": None})
    entered = journey.enters()
    await tell(api_pool, entered)
    found = await stored(api_pool, journey)
    assert found.state == entered.membership
    assert (found.run_status, found.contact) == ("in_flow", {})
    assert found.timeline == entered.timeline
    assert await counted(api_pool) == Counts(entered=1, waiting=1, last_entry_at=NOW)


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_a_membership_that_ends_moves_with_its_timeline(
    api_pool: Pool, in_one_batch: bool
) -> None:
    journey = a_journey()
    walks = [journey.enters(), journey.walks([WAITED, WAITING], "waiting"), journey.completes()]
    for batch in [walks] if in_one_batch else [[walk] for walk in walks]:
        await tell(api_pool, *batch)
    found = await stored(api_pool, journey)
    assert found.state == walks[-1].membership
    assert found.run_status == "completed"
    assert found.timeline == [entry for walk in walks for entry in walk.timeline]
    assert [await rows(api_pool, table) for table in ("membership", "timeline")] == [0, 0]
    assert await counted(api_pool) == Counts(entered=1, completed=1, last_entry_at=NOW)


@pytest.mark.parametrize("repeats", [1, 3])
@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_repeats_change_nothing(api_pool: Pool, in_one_batch: bool, repeats: int) -> None:
    living, ended, refused = a_journey(), a_journey(), a_refusal()
    messages: list[MembershipEvent] = [living.enters(), ended.enters(), ended.completes(), refused]
    for _ in range(1 + repeats):
        for batch in [messages] if in_one_batch else [[message] for message in messages]:
            await tell(api_pool, *batch)
    assert await kinds(api_pool, living) == ["entered_flow", "waiting"]
    assert await kinds(api_pool, ended) == [
        "entered_flow", "waiting", "step_executed", "completed",
    ]  # fmt: skip
    every = Counts(entered=2, waiting=1, completed=1, last_entry_at=NOW)
    assert await counted(api_pool) == every
    tables = ("membership", "timeline", "ended_membership", "refusal")
    assert [await rows(api_pool, table) for table in tables] == [1, 1, 1, 1]


async def test_what_is_older_changes_nothing(api_pool: Pool) -> None:
    journey = a_journey()
    entered, waits_again = journey.enters(), journey.walks([WAITED, WAITING], "waiting")
    await tell(api_pool, entered, waits_again)
    await tell(api_pool, entered)
    assert (await stored(api_pool, journey)).state.sequence == 4
    assert len(await kinds(api_pool, journey)) == 4


async def test_a_change_that_leaves_no_trace_in_the_timeline_is_taken_in(api_pool: Pool) -> None:
    journey, later = a_journey(), NOW + timedelta(hours=1)
    await tell(api_pool, journey.enters())
    await tell(api_pool, journey.walks([], "active", updated_at=later))
    found = await stored(api_pool, journey)
    assert (found.state.status, found.state.updated_at) == ("active", later)
    assert await counted(api_pool) == Counts(entered=1, active=1, last_entry_at=NOW)


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_what_happens_after_the_end_is_added(api_pool: Pool, in_one_batch: bool) -> None:
    journey = a_journey()
    end: dict[str, Any] = {"status": "completed", "ended_at": NOW}
    walks = [
        journey.walks([ENTERED, COMPLETED], **end),
        journey.walks([OPENED], **end),
        journey.walks([("email_clicked", {"url": "https://x.example"})], **end),
    ]
    for batch in [walks] if in_one_batch else [[walk] for walk in walks]:
        await tell(api_pool, *batch)
    assert await kinds(api_pool, journey) == [
        "entered_flow", "completed", "email_opened", "email_clicked",
    ]  # fmt: skip
    assert (await stored(api_pool, journey)).state.sequence == 4
    assert await counted(api_pool) == Counts(entered=1, completed=1, last_entry_at=NOW)


@pytest.mark.parametrize("in_one_batch", [True, False])
async def test_an_end_that_is_taken_back_is_taken_back_here_too(
    api_pool: Pool, in_one_batch: bool
) -> None:
    """An executor that was restored walks on from where it was, and may go another way."""
    journey = a_journey()
    await tell(api_pool, journey.enters(), journey.is_dropped("step_failed"))
    assert (await counted(api_pool)) == Counts(entered=1, failed=1, last_entry_at=NOW)
    again = [journey.walks([WAITED, WAITING], "waiting"), journey.completes()]
    for batch in [again] if in_one_batch else [[walk] for walk in again]:
        await tell(api_pool, *batch)
        every = [await rows(api_pool, table) for table in ("membership", "ended_membership")]
        assert sum(every) == 1
    found = await stored(api_pool, journey)
    assert (found.state, found.run_status) == (again[-1].membership, "completed")
    assert [entry.sequence for entry in found.timeline] == list(range(1, journey.sequence + 1))
    assert await rows(api_pool, "timeline") == 0
    assert await counted(api_pool) == Counts(entered=1, completed=1, last_entry_at=NOW)


def a_life(chance: random.Random) -> list[MembershipChanged]:
    """Tell a membership's walks, some of which are told again from an earlier one on."""
    journey = a_journey(entered_at=NOW + timedelta(seconds=chance.randrange(99)))
    told = [journey.enters()]
    statuses = chance.choices(["active", "waiting"], k=chance.randrange(4))
    told += [journey.walks([WAITED, WAITING], status) for status in statuses]
    end = chance.choice([journey.completes, journey.is_dropped, None])
    if end:
        told.append(end())
        told.append(journey.walks([OPENED], told[-1].membership.status, ended_at=NOW))
    again = chance.randrange(len(told))
    return [*told[: again + 1], *told[: again + 1], *told[again:]]


async def are(pool: Pool) -> Counts:
    """Count the memberships that are there."""
    by_state = await pool.fetch(
        "SELECT status AS state, count(*) FROM membership GROUP BY 1"
        " UNION ALL SELECT run_status, count(*) FROM ended_membership GROUP BY 1"
    )
    found = Counts(**{row["state"]: row["count"] for row in by_state})
    latest = "SELECT max(entered_at) FROM every_membership"
    found.entered = sum(row["count"] for row in by_state)
    found.last_entry_at = await pool.fetchval(latest)
    return found


@pytest.mark.parametrize("seed", range(4))
async def test_what_is_kept_is_what_there_is_whatever_is_told_again(
    api_pool: Pool, seed: int
) -> None:
    chance = random.Random(seed)  # noqa: S311  (the same in every run)
    lives = [a_life(chance) for _ in range(20)]
    while lives:
        batch: list[MembershipEvent] = []
        for _ in range(chance.randrange(1, 30)):
            if lives:
                life = chance.choice(lives)
                batch.append(life.pop(0))
                lives = [one for one in lives if one]
        await tell(api_pool, *batch)
        if chance.random() < 1 / 3:
            async with transaction(api_pool) as tx:
                await counts.fold(tx)
        assert await counted(api_pool) == await are(api_pool)


async def test_the_most_recent_entry_is_the_latest_in_whatever_order(api_pool: Pool) -> None:
    for hours in (2, 5, 1):
        await tell(api_pool, a_journey(entered_at=NOW + timedelta(hours=hours)).enters())
        async with transaction(api_pool) as tx:
            await counts.fold(tx)
    found = await counted(api_pool)
    assert found is not None
    assert found.last_entry_at == NOW + timedelta(hours=5)


async def test_it_is_added_even_if_the_end_was_long_ago(api_pool: Pool) -> None:
    journey = a_journey()
    await tell(api_pool, journey.enters(), journey.completes())
    await api_pool.execute("UPDATE ended_membership SET stored_at = now() - interval '300 days'")
    await tell(api_pool, journey.walks([OPENED], "completed", ended_at=NOW))
    assert (await kinds(api_pool, journey))[-1] == "email_opened"
    assert await rows(api_pool, "ended_membership") == 1


async def test_what_happens_after_its_partition_was_dropped_makes_no_ghost(api_pool: Pool) -> None:
    journey = a_journey()
    await tell(api_pool, journey.enters(), journey.completes())
    before = await counted(api_pool)
    await api_pool.execute("DELETE FROM ended_membership")
    await tell(api_pool, journey.walks([OPENED], "completed", ended_at=NOW))
    await tell(api_pool, journey.walks([OPENED], "active"))
    tables = ("membership", "timeline", "ended_membership")
    assert [await rows(api_pool, table) for table in tables] == [0, 0, 0]
    assert await counted(api_pool) == before == Counts(entered=1, completed=1, last_entry_at=NOW)


async def test_counts_take_one_row_per_flow_and_batch(api_pool: Pool) -> None:
    other = uuid4()
    journeys = [a_journey(flow_id=flow) for flow in (FLOW, FLOW, FLOW, other)]
    await tell(api_pool, *(journey.enters() for journey in journeys))
    assert await rows(api_pool, "flow_count_change") == 2
    async with transaction(api_pool) as tx:
        await counts.fold(tx)
    await tell(api_pool, journeys[0].completes(), journeys[1].is_dropped())
    assert await rows(api_pool, "flow_count_change") == 1
    expected = Counts(entered=3, waiting=1, completed=1, exited_flow=1, last_entry_at=NOW)
    assert await counted(api_pool) == expected
    async with transaction(api_pool) as tx:
        await counts.fold(tx)
    assert await counted(api_pool) == expected
    assert await rows(api_pool, "flow_count_change") == 0


@pytest.mark.parametrize(
    ("reason", "shown"), [("step_failed", "failed"), ("removed_by_api", "exited_flow")]
)
async def test_why_it_was_dropped_decides_what_is_shown(
    api_pool: Pool, reason: str, shown: str
) -> None:
    journey = a_journey()
    await tell(api_pool, journey.enters(), journey.is_dropped(reason))
    found = await stored(api_pool, journey)
    assert (found.run_status, found.state.drop_reason) == (shown, reason)


async def test_refusals_are_listed_newest_first(api_pool: Pool) -> None:
    contact_id = UUID(int=99)
    await tell(api_pool, a_refusal(contact_id=contact_id), a_refusal())
    await tell(api_pool, a_refusal(time=NOW + timedelta(days=1), reason="reentry_denied"))
    query = {"workspace_id": WORKSPACE, "at_most": 10, "skip": 0}
    found, total = await refusals.page(api_pool, **query, flow_id=FLOW, contact_id=None)
    assert (found[0]["reason"], total) == ("reentry_denied", 3)
    found, total = await refusals.page(api_pool, **query, flow_id=None, contact_id=contact_id)
    assert ([one["contact_id"] for one in found], total) == ([contact_id], 1)


async def test_a_batch_takes_one_statement_per_table(api_pool: Pool) -> None:
    living = [a_journey() for _ in range(50)]
    ending = [a_journey() for _ in range(50)]
    await tell(api_pool, *(journey.enters() for journey in ending))
    messages: list[MembershipEvent] = [
        *(journey.enters() for journey in living),
        *(journey.walks([DROPPED], "dropped", ended_at=NOW) for journey in ending),
        *(a_refusal() for _ in range(50)),
    ]
    asked: list[str] = []

    def note(record: Any) -> None:
        asked.append(record.query)

    async with transaction(api_pool) as tx:
        tx.add_query_logger(note)
        await membership_events.handle_batch(tx, [Received(message, 0) for message in messages])
        tx.remove_query_logger(note)
    assert len(asked) == len(set(asked))
    written = [query for query in asked if not query.startswith("SELECT")]
    assert len(written) == len("live timeline ended refusals counts".split()), written
