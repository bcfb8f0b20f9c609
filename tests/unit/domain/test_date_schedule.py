"""From the time to what has fallen due: whatever came first, and whatever was known then."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from uuid import UUID

from libs.domain.date_schedule import DateSchedule, Passed, ScheduledTrigger
from libs.domain.occurrences import DateRule
from tests.support.builders import FLOW, WORKSPACE

HOUR, DAY = timedelta(hours=1), timedelta(days=1)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC)
DUE = datetime(2026, 3, 10, 9, tzinfo=UTC)


def trigger(opened: int = 1, at: int = 9, **changes: Any) -> ScheduledTrigger:
    rule = DateRule(0, False, time(at), changes.pop("zone", "UTC"))
    whole = ScheduledTrigger(
        FLOW, "t1", WORKSPACE, opened, "renewal", rule, {}, NOON - 100 * DAY, None, opened
    )
    return replace(whole, **changes)


def schedule(*triggers: ScheduledTrigger) -> DateSchedule:
    made = DateSchedule()
    for one in triggers:
        made.put(one, one.opened + 1)
    return made


def due(of: DateSchedule, before: Passed, until: datetime) -> list[datetime]:
    return [one.due_at for one in of.passed(before, until)[0]]


def test_a_moment_is_passed_once() -> None:
    one = schedule(trigger())
    assert due(one, Passed(DUE - HOUR, 2), DUE - HOUR / 2) == []
    assert due(one, Passed(DUE - HOUR, 2), DUE) == [DUE]
    assert due(one, Passed(DUE, 2), DUE + HOUR) == []
    assert one.next_after(DUE - HOUR) == DUE
    assert one.next_after(DUE) == DUE + DAY


def test_an_activation_that_was_not_known_counts_from_its_own_moment() -> None:
    one = schedule(trigger(), trigger(5, trigger_id="t2", active_since=DUE - HOUR))
    slices, _ = one.passed(Passed(DUE + HOUR, 2), DUE + 2 * HOUR)
    assert [(found.trigger.trigger_id, found.due_at) for found in slices] == [("t2", DUE)]
    later = schedule(trigger(active_since=DUE))
    assert due(later, Passed(DUE - DAY, 0), DUE + HOUR) == []


def test_what_fell_due_more_than_a_day_ago_is_counted_and_not_given() -> None:
    one = schedule(trigger())
    slices, skipped = one.passed(Passed(DUE - 5 * DAY, 2), DUE + HOUR)
    assert ([found.due_at for found in slices], skipped) == ([DUE], 4)
    new = schedule(trigger(active_since=NOON - 2 * DAY))
    slices, skipped = new.passed(Passed(datetime(1970, 1, 1, tzinfo=UTC), 0), DUE + HOUR)
    assert (len(slices), skipped) == (1, 1)


def test_a_trigger_that_was_closed_counts_until_then() -> None:
    one = schedule(trigger())
    one.put(trigger(active_until=DUE + HOUR), 7)
    assert one.revision == 7
    assert due(one, Passed(DUE - HOUR, 2), DUE + 2 * HOUR) == [DUE]
    assert due(one, Passed(DUE, 2), DUE + DAY) == []
    one.put(trigger(active_until=DUE - HOUR), 7)
    assert due(one, Passed(DUE - 2 * HOUR, 2), DUE + HOUR) == []
    assert list(one.on_field(WORKSPACE, "renewal")) == [trigger(active_until=DUE - HOUR)]
    one.forget_closed(DUE)
    assert (len(one), list(one.on_field(WORKSPACE, "renewal"))) == (0, [])
    assert one.next_after(DUE).year == 9999


def test_triggers_are_found_by_their_field() -> None:
    mine, other = trigger(), trigger(3, field="birthday")
    both = schedule(mine, other)
    assert list(both.on_field(WORKSPACE, "birthday")) == [other]
    assert list(both.on_field(UUID(int=9), "birthday")) == []


def test_clocks_are_told_apart() -> None:
    one = schedule(trigger(), trigger(3, zone="Asia/Tokyo"), trigger(5, at=10))
    assert one.next_after(DUE) == DUE + HOUR
    assert one.next_after(DUE + HOUR) == datetime(2026, 3, 11, 0, tzinfo=UTC)
