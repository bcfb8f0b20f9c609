"""Dates on real Postgres: released once, when they come, a bounded number at a time."""

from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest

from libs.chassis.exactly_once.positions import OwnedPartition
from libs.chassis.postgres.migrations import migrate
from libs.chassis.postgres.pool import Pool
from services.scheduler.loops.release_dates import SKIPPED
from tests.support.builders import FLOW, WORKSPACE, Json
from tests.support.dates import DateScheduler, contacts_of, date_flow, dates, enrolls, gone
from tests.support.timers import MIGRATIONS, Killed

HOUR, MINUTE, SECOND = timedelta(hours=1), timedelta(minutes=1), timedelta(seconds=1)
DAY = timedelta(days=1)
START = datetime(2026, 3, 1, 12, tzinfo=UTC)
DUE = datetime(2026, 3, 10, 9, tzinfo=UTC)
"""When a date of 10 March falls due, by the settings flows have here."""
RENEWAL: Json = {"renewal": "2026-03-10"}
OTHER_FLOW = UUID(int=20)


@pytest.fixture
async def scheduler(pool: Pool) -> DateScheduler:
    """A process that knows one flow, active since 1 March."""
    await migrate(pool, MIGRATIONS)
    process = DateScheduler(pool, START)
    await process.define(date_flow(), at=START)
    return process


async def fill(process: DateScheduler, count: int, first: int = 1) -> None:
    told = [dates(one, set_at=START, **RENEWAL) for one in range(first, first + count)]
    assert await process.tell(*told) == []


async def test_a_date_fires_when_it_comes_and_only_once(scheduler: DateScheduler) -> None:
    await scheduler.tell(
        dates(1, set_at=START, **RENEWAL),
        dates(2, set_at=START, renewal="2026-03-11"),
        dates(3, set_at=START, renewal="2027-03-10"),
        dates(4, set_at=START, other="2026-03-10"),
        dates(5, set_at=START, renewal="2026-03-10T23:59:00Z"),
    )
    assert await scheduler.tick(DUE - SECOND) == []
    enrolled = await scheduler.tick(DUE)
    assert contacts_of(enrolled) == [1, 5]
    assert await scheduler.tick(DUE + MINUTE) == []
    assert contacts_of(await scheduler.tick(DUE + DAY)) == [2]
    assert contacts_of(await scheduler.tick(DUE + 365 * DAY)) == [3]


async def test_what_comes_says_why_and_for_which_flow(scheduler: DateScheduler) -> None:
    await fill(scheduler, 1)
    (command,) = await scheduler.tick(DUE)
    assert (command.flow_id, command.min_flow_version, command.workspace_id) == (
        FLOW, 1, WORKSPACE,
    )  # fmt: skip
    assert (command.source_id, command.entry_source) == ("date:t1:20260310", "date_based")
    assert command.due_date
    assert command.due_date.due_at == DUE


async def test_29_february_comes_every_year(scheduler: DateScheduler) -> None:
    await scheduler.define(date_flow(2, recurrence="annually", offset_days=-7), at=START)
    await scheduler.tell(dates(1, set_at=START, renewal="2024-02-29"))
    came = [
        one.source_id
        for year in range(2027, 2030)
        for month, day in ((2, 20), (2, 21), (2, 22), (3, 1))
        for one in await scheduler.tick(datetime(year, month, day, 9, tzinfo=UTC))
    ]
    assert came == ["date:t1:20270228", "date:t1:20280229", "date:t1:20290228"]


async def test_a_large_day_is_released_in_chunks(scheduler: DateScheduler) -> None:
    await fill(scheduler, 12)
    small = DateScheduler(scheduler.pool, START, dates_per_tick=5)
    chunks = [contacts_of(await small.tick(DUE + number * SECOND)) for number in range(4)]
    assert chunks == [[1, 2, 3, 4, 5], [6, 7, 8, 9, 10], [11, 12], []]


async def test_a_tick_says_whether_something_is_left(scheduler: DateScheduler) -> None:
    """Then the next one follows at once, in whatever partition it is left."""
    await fill(scheduler, 12)
    await scheduler.tell(dates(201, set_at=START, partition=1, **RENEWAL))
    small = DateScheduler(scheduler.pool, START, (0, 1), dates_per_tick=8)
    await small.tick(DUE - SECOND)
    small.hand.at = DUE
    assert [await small.releasing.tick() for _ in range(3)] == [True, True, False]
    assert sorted(contacts_of(enrolls(small.reader.fired))) == [*range(1, 13), 201]
    small.hand.at = DUE + SECOND
    assert await small.releasing.tick() is False


async def test_triggers_share_a_tick_and_partitions_too(scheduler: DateScheduler) -> None:
    other = date_flow(flow_id=OTHER_FLOW, field="other")
    await scheduler.define(other, at=START)
    await fill(scheduler, 40)
    await scheduler.tell(
        *(dates(one, set_at=START, other="2026-03-10") for one in (101, 102)),
        *(dates(one, set_at=START, partition=1, **RENEWAL) for one in (201, 202)),
    )
    small = DateScheduler(scheduler.pool, START, (0, 1), dates_per_tick=12)
    first = contacts_of(await small.tick(DUE))
    assert len(first) <= 12
    assert {101, 102, 201, 202} <= set(first)
    rest = contacts_of(await small.drain())
    assert sorted(first + rest) == [*range(1, 41), 101, 102, 201, 202]


async def test_r21_a_process_that_is_killed_within_a_slice_leaves_it_to_the_next_one(
    scheduler: DateScheduler,
) -> None:
    """What was not committed was not said: the second owner goes on from the checkpoint."""
    await fill(scheduler, 12)
    first = DateScheduler(scheduler.pool, START, dates_per_tick=5)
    said = contacts_of(await first.tick(DUE))
    first.reader.dies = True
    with pytest.raises(Killed):
        await first.tick(DUE + SECOND)
    second = DateScheduler(scheduler.pool, START, epoch=2, dates_per_tick=5)
    said += contacts_of(await second.drain(DUE + MINUTE))
    assert said == list(range(1, 13))
    assert await second.drain(DUE + HOUR) == []


async def test_r21_a_process_that_is_killed_as_it_opens_a_slice_has_not_passed_it(
    scheduler: DateScheduler,
) -> None:
    await fill(scheduler, 3)
    scheduler.reader.dies = True
    with pytest.raises(Killed):
        await scheduler.tick(DUE)
    scheduler.reader.dies = False
    assert contacts_of(await scheduler.tick(DUE + SECOND)) == [1, 2, 3]


async def test_r21_a_partition_that_comes_back_is_released_from_where_the_other_left_it(
    scheduler: DateScheduler,
) -> None:
    await fill(scheduler, 12)
    here = DateScheduler(scheduler.pool, START, dates_per_tick=5)
    away = DateScheduler(scheduler.pool, START, epoch=2, dates_per_tick=5)
    said = contacts_of(await here.tick(DUE))
    said += contacts_of(await away.tick(DUE + SECOND))
    here.reader.armed[0] = OwnedPartition(0, 0, epoch=3)
    said += contacts_of(await here.drain(DUE + MINUTE))
    assert said == list(range(1, 13))


async def test_r21_what_is_20_hours_late_is_made_up_for(scheduler: DateScheduler) -> None:
    await fill(scheduler, 3)
    await scheduler.tick(DUE - HOUR)
    restarted = DateScheduler(scheduler.pool, START, epoch=2)
    enrolled = await restarted.tick(DUE + 20 * HOUR)
    assert contacts_of(enrolled) == [1, 2, 3]
    assert {one.source_id for one in enrolled} == {"date:t1:20260310"}
    assert {one.due_date and one.due_date.due_at for one in enrolled} == {DUE}


def skipped() -> float:
    return float(SKIPPED._value.get())  # noqa: SLF001  (a counter does not say otherwise what it counts)


async def test_r21_what_is_30_hours_late_is_skipped_and_counted(scheduler: DateScheduler) -> None:
    await fill(scheduler, 3)
    await scheduler.tell(dates(9, set_at=START, renewal="2026-03-11"))
    await scheduler.tick(DUE - HOUR)
    before = skipped()
    restarted = DateScheduler(scheduler.pool, START, epoch=2)
    assert contacts_of(await restarted.tick(DUE + 30 * HOUR)) == [9]
    assert skipped() - before == 1
    assert contacts_of(await restarted.tick(DUE + 31 * HOUR)) == []
    assert skipped() - before == 1


async def test_r21_a_slice_that_cannot_be_finished_in_24_hours_is_given_up_and_counted(
    scheduler: DateScheduler,
) -> None:
    await fill(scheduler, 12)
    slow = DateScheduler(scheduler.pool, START, dates_per_tick=5)
    assert contacts_of(await slow.tick(DUE)) == [1, 2, 3, 4, 5]
    before = skipped()
    assert await slow.drain(DUE + 25 * HOUR) == []
    assert skipped() - before == 1


async def test_r21_a_moment_keeps_its_cause_when_the_zone_is_moved(
    scheduler: DateScheduler,
) -> None:
    """An instant comes as 10 March in Los Angeles; the zone becomes Tokyo, where it is the 11th."""
    west = date_flow(2, zone="America/Los_Angeles")
    await scheduler.define(west, at=START)
    await scheduler.tell(dates(1, set_at=START, renewal="2026-03-11T02:00:00Z"))
    (first,) = await scheduler.tick(datetime(2026, 3, 10, 16, tzinfo=UTC))
    at = datetime(2026, 3, 10, 17, tzinfo=UTC)
    await scheduler.define(date_flow(3, "paused"), date_flow(4, zone="Asia/Tokyo"), at=at)
    (second,) = await scheduler.tick(datetime(2026, 3, 11, 0, 0, tzinfo=UTC))
    assert first.source_id == second.source_id
    assert first.id == second.id


async def test_r19_the_scheduler_ends_with_the_date_the_executor_ends_with(
    scheduler: DateScheduler,
) -> None:
    """Told in the executor's order, however the events came: the old date fires no more."""
    old, new = RENEWAL, Json(renewal="2026-03-12")
    await scheduler.tell(dates(1, set_at=START, **old), dates(2, set_at=START, **old))
    await scheduler.tell(dates(1, set_at=START, before=old, **new))
    await scheduler.tell(
        dates(2, set_at=START, before=old, **new),
        dates(2, set_at=START, before=new),
        dates(2, set_at=START, renewal="2026-03-11"),
    )
    assert await scheduler.tick(DUE) == []
    assert contacts_of(await scheduler.tick(DUE + DAY)) == [2]
    assert contacts_of(await scheduler.tick(DUE + 2 * DAY)) == [1]


async def test_r19_who_is_gone_is_forgotten(scheduler: DateScheduler) -> None:
    await fill(scheduler, 2)
    await scheduler.tell(gone(1, **RENEWAL), gone(9, **RENEWAL))
    assert await scheduler.pool.fetchval("SELECT count(*) FROM contact_date") == 1
    assert contacts_of(await scheduler.tick(DUE)) == [2]


async def test_r20_a_date_that_was_set_in_time_and_told_late_fires_at_once(
    scheduler: DateScheduler,
) -> None:
    """The slice passes; the date, set to today before, comes to the scheduler only then."""
    await fill(scheduler, 1)
    assert contacts_of(await scheduler.tick(DUE)) == [1]
    late = await scheduler.tell(dates(2, set_at=DUE - SECOND, **RENEWAL))
    assert [(one.contact_id.int, one.source_id) for one in late] == [(2, "date:t1:20260310")]
    assert await scheduler.tick(DUE + MINUTE) == []


async def test_r20_a_date_behind_the_checkpoint_fires_at_once_and_one_ahead_in_its_turn(
    scheduler: DateScheduler,
) -> None:
    for contact in (10, 20, 30, 40, 50, 60):
        await fill(scheduler, 1, contact)
    small = DateScheduler(scheduler.pool, START, dates_per_tick=3)
    assert contacts_of(await small.tick(DUE)) == [10, 20, 30]
    told = await small.tell(
        dates(5, set_at=DUE - SECOND, **RENEWAL), dates(55, set_at=DUE - SECOND, **RENEWAL)
    )
    assert contacts_of(told) == [5]
    assert contacts_of(await small.drain()) == [40, 50, 55, 60]


async def test_r20_a_moment_that_was_past_when_its_date_was_set_does_not_fire(
    scheduler: DateScheduler,
) -> None:
    """Neither where the slice has passed nor where it runs late and finds the date."""
    await scheduler.tick(DUE)
    assert await scheduler.tell(dates(1, set_at=DUE + SECOND, **RENEWAL)) == []
    await scheduler.tell(dates(2, set_at=DUE + DAY + HOUR, renewal="2026-03-11"))
    await scheduler.tell(dates(3, set_at=DUE + DAY - HOUR, renewal="2026-03-11"))
    assert contacts_of(await scheduler.tick(DUE + DAY + 5 * HOUR)) == [3]


async def test_r20_a_date_told_more_than_a_day_late_does_not_fire(scheduler: DateScheduler) -> None:
    await scheduler.tick(DUE + 23 * HOUR)
    assert contacts_of(await scheduler.tell(dates(1, set_at=START, **RENEWAL))) == [1]
    await scheduler.tick(DUE + DAY)
    scheduler.hand.at = DUE + 25 * HOUR
    assert await scheduler.tell(dates(2, set_at=START, **RENEWAL)) == []


async def test_r20_a_flow_that_is_heard_of_after_its_moment_fires_all_the_same(
    scheduler: DateScheduler,
) -> None:
    """The tick passes 10:06; only then is the 10:06 flow, activated at 10:05, known here."""
    await scheduler.tell(dates(1, set_at=START, other="2026-03-10"))
    due = datetime(2026, 3, 10, 10, 6, tzinfo=UTC)
    await scheduler.tick(due + SECOND)
    late = date_flow(flow_id=OTHER_FLOW, field="other", time="10:06")
    await scheduler.define(late, at=due - MINUTE)
    assert contacts_of(await scheduler.tick(due + 5 * SECOND)) == [1]
    assert await scheduler.tick(due + MINUTE) == []


async def test_r20_a_flow_that_is_activated_after_its_moment_does_not_fire(
    scheduler: DateScheduler,
) -> None:
    await scheduler.tell(dates(1, set_at=START, other="2026-03-10"))
    late = date_flow(flow_id=OTHER_FLOW, field="other", time="10:06")
    await scheduler.define(late, at=datetime(2026, 3, 10, 10, 7, tzinfo=UTC))
    assert await scheduler.tick(datetime(2026, 3, 10, 10, 8, tzinfo=UTC)) == []


async def test_r20_a_date_and_a_flow_that_both_come_late_fire_once(
    scheduler: DateScheduler,
) -> None:
    """The partition has not compared the flow with its watermark yet when the date comes."""
    due = datetime(2026, 3, 10, 10, 6, tzinfo=UTC)
    await scheduler.tick(due + SECOND)
    late = date_flow(flow_id=OTHER_FLOW, field="other", time="10:06")
    await scheduler.define(late, at=due - MINUTE)
    assert await scheduler.tell(dates(1, set_at=due - MINUTE, other="2026-03-10")) == []
    assert contacts_of(await scheduler.tick(due + 5 * SECOND)) == [1]
    assert contacts_of(await scheduler.tell(dates(2, set_at=due - MINUTE, other="2026-03-10"))) == [
        2
    ]


async def test_r20_what_fell_due_in_a_pause_does_not_fire(scheduler: DateScheduler) -> None:
    await fill(scheduler, 1)
    await scheduler.define(date_flow(2, "paused"), at=DUE - HOUR)
    assert await scheduler.tick(DUE) == []
    assert await scheduler.tell(dates(2, set_at=START, **RENEWAL)) == []
    await scheduler.define(date_flow(3), at=DUE + HOUR)
    assert await scheduler.tick(DUE + 2 * HOUR) == []
    await scheduler.tell(dates(3, set_at=START, renewal="2026-03-11"))
    assert contacts_of(await scheduler.tick(DUE + DAY)) == [3]


async def test_r20_what_fell_due_before_a_pause_is_made_up_for_after_it(
    scheduler: DateScheduler,
) -> None:
    """Nobody owned the partition from 08:00 to 15:00; at 10:00 the flow was paused."""
    await fill(scheduler, 1)
    await scheduler.tell(dates(2, set_at=START, renewal="2026-03-11"))
    await scheduler.tick(DUE - HOUR)
    await scheduler.define(date_flow(2, "paused"), at=DUE + HOUR)
    enrolled = await scheduler.tick(DUE + 6 * HOUR)
    assert [(one.contact_id.int, one.min_flow_version) for one in enrolled] == [(1, 1)]
    late = await scheduler.tell(dates(3, set_at=START, **RENEWAL))
    assert contacts_of(late) == [3]
    await scheduler.define(date_flow(3), at=DUE + 7 * HOUR)
    assert contacts_of(await scheduler.tick(DUE + DAY)) == [2]


async def test_r20_a_change_of_something_else_costs_no_late_slice(scheduler: DateScheduler) -> None:
    await fill(scheduler, 1)
    await scheduler.tick(DUE - HOUR)
    await scheduler.define(date_flow(2).model_copy(update={"name": "x"}), at=DUE + HOUR)
    enrolled = await scheduler.tick(DUE + 6 * HOUR)
    assert [(one.contact_id.int, one.min_flow_version) for one in enrolled] == [(1, 1)]


async def test_r20_a_date_told_late_does_not_fire_a_flow_activated_since(
    scheduler: DateScheduler,
) -> None:
    await scheduler.define(date_flow(2, flow_id=OTHER_FLOW), at=DUE + HOUR)
    await scheduler.tick(DUE + 2 * HOUR)
    (late,) = await scheduler.tell(dates(1, set_at=START, **RENEWAL))
    assert late.flow_id == FLOW


async def test_r20_what_fell_due_before_the_pause_is_released_to_its_end(
    scheduler: DateScheduler,
) -> None:
    await fill(scheduler, 12)
    small = DateScheduler(scheduler.pool, START, dates_per_tick=5)
    said = contacts_of(await small.tick(DUE))
    await small.define(date_flow(2, "paused"), at=DUE + SECOND)
    said += contacts_of(await small.drain(DUE + MINUTE))
    assert said == list(range(1, 13))


async def test_r20_an_edit_that_leaves_a_trigger_as_it_was_repeats_nothing(
    scheduler: DateScheduler,
) -> None:
    await fill(scheduler, 3)
    assert len(await scheduler.tick(DUE)) == 3
    renamed = date_flow(2).model_copy(update={"name": "Renamed"})
    await scheduler.define(renamed, date_flow(2), date_flow(1, time="09:01"), at=DUE + SECOND)
    assert await scheduler.tick(DUE + 2 * MINUTE) == []
    kept = await scheduler.pool.fetch("SELECT flow_version, active_until FROM date_trigger")
    assert [tuple(row) for row in kept] == [(1, None)]


async def test_r20_a_zone_moved_east_or_west_keeps_what_is_still_to_come(
    scheduler: DateScheduler,
) -> None:
    """Moved east, past 09:00 there: a year is not lost, the moment was past when it was set."""
    await fill(scheduler, 1)
    east = date_flow(2, zone="Asia/Tokyo")
    await scheduler.define(east, at=DUE - HOUR)  # 09:00 in Tokyo was nine hours before
    assert await scheduler.tick(DUE + HOUR) == []
    west = date_flow(3, zone="America/Los_Angeles")
    await scheduler.define(west, at=DUE + 2 * HOUR)
    assert contacts_of(await scheduler.tick(datetime(2026, 3, 10, 16, tzinfo=UTC))) == [1]


async def test_r20_a_slice_that_an_older_definition_opened_begins_anew(
    scheduler: DateScheduler,
) -> None:
    """Edited at 08:59:59, heard of at 09:00:01: the slice of 09:00 was opened as it was before."""
    await fill(scheduler, 4)
    await scheduler.tell(dates(9, set_at=START, renewal="2026-03-17"))
    small = DateScheduler(scheduler.pool, START, dates_per_tick=3)
    assert contacts_of(await small.tick(DUE)) == [1, 2, 3]
    await small.define(date_flow(2, offset_days=-7), at=DUE - SECOND)
    assert contacts_of(await small.drain(DUE + SECOND)) == [9]


async def test_tenants_with_the_same_contact_and_field_do_not_meet(
    scheduler: DateScheduler,
) -> None:
    stranger = UUID(int=99)
    await scheduler.tell(
        dates(1, set_at=START, workspace=stranger, **RENEWAL),
        dates(2, set_at=START, **RENEWAL),
    )
    await scheduler.tell(dates(1, set_at=START, workspace=stranger, before=RENEWAL))
    await fill(scheduler, 1)
    assert contacts_of(await scheduler.tick(DUE)) == [1, 2]
    assert await scheduler.tell(dates(7, set_at=START, workspace=stranger, **RENEWAL)) == []


async def test_a_flow_that_is_over_leaves_the_schedule(scheduler: DateScheduler) -> None:
    await fill(scheduler, 1)
    await scheduler.learn()
    assert len(scheduler.current.schedule) == 1
    await scheduler.define(date_flow(2, "deleted"), at=START)
    await scheduler.learn()
    assert await scheduler.tick(DUE) == []
    assert len(scheduler.current.schedule) == 0
    await scheduler.define(date_flow(3), at=DUE)
    assert await scheduler.pool.fetchval("SELECT count(*) FROM date_trigger") == 1


async def test_an_idle_tick_leaves_the_partitions_alone(scheduler: DateScheduler) -> None:
    await fill(scheduler, 1)
    await scheduler.tick(DUE - HOUR)
    turns = scheduler.reader.turns
    for number in range(20):
        await scheduler.tick(DUE - HOUR + number * MINUTE)
    assert scheduler.reader.turns == turns
    await scheduler.tick(DUE)
    assert scheduler.reader.turns == turns + 1
    await scheduler.tick(DUE + SECOND)
    assert scheduler.reader.turns == turns + 1, "nothing was left of it"
