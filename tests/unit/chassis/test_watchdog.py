"""A consumer that makes no progress while there is lag is noticed; one that waits is left alone."""

import time
from types import SimpleNamespace
from typing import Any

import pytest
from aiokafka.errors import KafkaConnectionError

from libs.chassis.process.watchdog import Stuck, check


class Log:
    end = 10
    down = False

    def assigned(self) -> set[int]:
        return {0}

    async def bounds(self, partitions: list[int]) -> dict[int, tuple[int, int]]:
        if self.down:
            raise KafkaConnectionError
        return dict.fromkeys(partitions, (0, self.end))


def reader(next_offset: int, idle_seconds: float) -> Any:
    armed = {0: SimpleNamespace(next_offset=next_offset)}
    last = time.monotonic() - idle_seconds
    return SimpleNamespace(topic="in", log=Log(), armed=armed, last_progress=last)


async def test_lag_without_progress_is_stuck() -> None:
    with pytest.raises(Stuck, match="in has lag"):
        await check(reader(next_offset=3, idle_seconds=61), 60)


async def test_a_partition_that_was_never_armed_counts_as_lag() -> None:
    one = reader(next_offset=10, idle_seconds=61)
    one.armed.clear()
    with pytest.raises(Stuck):
        await check(one, 60)


async def test_lag_with_progress_no_lag_and_outages_are_not_stuck() -> None:
    await check(reader(next_offset=3, idle_seconds=1), 60)
    idle = reader(next_offset=10, idle_seconds=1000)
    await check(idle, 60)
    assert time.monotonic() - idle.last_progress < 60, "being idle counts as progress"
    cut_off = reader(next_offset=3, idle_seconds=1000)
    cut_off.log.down = True
    await check(cut_off, 60)
