"""Looking seldom, so that looking costs little beside what is looked at."""

import time
from collections.abc import Callable

from tests.support.waiting import wait_until


def let_pass(seconds: float) -> None:
    end = time.monotonic() + seconds
    wait_until(lambda: time.monotonic() >= end, "time to pass", seconds + 60)


class Progress:
    """Waits for a count to reach a number. The further it is, the less often it asks."""

    def __init__(self, count: Callable[[], int], goal: int, most: float = 2.0) -> None:
        self._count = count
        self._goal = goal
        self._most = most
        self._began = time.monotonic()
        self._next = self._began

    def wait(self, what: str, seconds: float) -> None:
        wait_until(self._reached, what, seconds)

    def _reached(self) -> bool:
        now = time.monotonic()
        if now < self._next:
            return False
        count = self._count()
        left = (self._goal - count) * (now - self._began) / count if count else 0.0
        self._next = now + min(max(left / 4, 0.25), self._most)
        return count >= self._goal
