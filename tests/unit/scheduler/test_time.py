"""Watermarks, and a clock that jumps."""

from datetime import timedelta

from services.scheduler.loops.clock_guard import ClockGuard
from services.scheduler.store.watermarks import Watermark
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
    here = [0.0]
    steady = ClockGuard(lambda: here[0])
    now = NOW
    assert steady.agrees(now)
    for _ in range(3):
        here[0] += 1
        now += SECOND
        assert steady.agrees(now)
    here[0] += 1
    now += timedelta(hours=1)
    assert not steady.agrees(now)
    trusted = []
    for _ in range(150):
        here[0] += 1
        now += SECOND
        trusted.append(steady.agrees(now))
    assert not trusted[0]
    assert trusted[-1]
