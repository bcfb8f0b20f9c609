"""Watermarks, a clock that jumps, and what is due next."""

from datetime import timedelta
from typing import Any, cast

import pytest

from libs.chassis.exactly_once.positions import OwnedPartition
from services.scheduler.loops.database_clock import ClockGuard, DatabaseClock
from services.scheduler.store import timers
from services.scheduler.store.watermarks import Watermark
from services.scheduler.use_cases.next_due import NextDue
from tests.support.builders import NOW

SECOND = timedelta(seconds=1)


def test_a_watermark_has_passed_what_no_scan_will_find() -> None:
    complete = Watermark(NOW)
    assert complete.has_passed(NOW - SECOND)
    assert complete.has_passed(NOW)
    assert not complete.has_passed(NOW + SECOND)
    cut_short = Watermark(NOW, 17)
    assert cut_short.has_passed(NOW - SECOND)
    assert not cut_short.has_passed(NOW), "a new timer gets a higher number and is found"


def test_a_jump_stops_firing_until_time_runs_evenly_again() -> None:
    guard = ClockGuard()
    assert all(guard.agrees(NOW + number * SECOND, number) for number in range(4))
    jumped = NOW + timedelta(hours=1)
    trusted = [guard.agrees(jumped + number * SECOND, number) for number in range(4, 12)]
    assert trusted == [False] * 5 + [True] * 3


def test_a_slow_answer_is_no_jump() -> None:
    guard = ClockGuard()
    assert guard.agrees(NOW, 0.0)
    assert guard.agrees(NOW + SECOND, 6.0, took=5.0)


async def test_the_database_is_asked_for_the_time_once_a_second(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    here, asked = [0.0], []

    async def database_time(_pool: Any) -> Any:
        asked.append(here[0])
        return NOW + timedelta(seconds=here[0])

    monkeypatch.setattr(timers, "database_time", database_time)
    clock = DatabaseClock(cast("Any", None), lambda: here[0])
    for number in range(60):
        here[0] = number * 0.05
        assert await clock.now() == NOW + timedelta(seconds=here[0])
    assert len(asked) == 3


def test_a_partition_is_looked_at_when_something_may_be_due() -> None:
    next_due, mine = NextDue(), OwnedPartition(3, 0, epoch=1)
    assert next_due.may_be_due({3: mine}, NOW) == [3], "nothing is known of it"
    next_due.looked(mine, NOW + 10 * SECOND)
    assert next_due.may_be_due({3: mine}, NOW + 9 * SECOND) == []
    assert next_due.may_be_due({3: mine}, NOW + 10 * SECOND) == [3]
    next_due.kept(3, NOW + 20 * SECOND)
    assert next_due.may_be_due({3: mine}, NOW + 9 * SECOND) == []
    next_due.kept(3, NOW + 5 * SECOND)
    assert next_due.may_be_due({3: mine}, NOW + 5 * SECOND) == [3]
    next_due.looked(mine, NOW + 10 * SECOND)
    assert next_due.may_be_due({3: OwnedPartition(3, 0, epoch=2)}, NOW) == [3], "it was away"
    next_due.forget([3])
    assert next_due.may_be_due({3: mine}, NOW) == [3]
