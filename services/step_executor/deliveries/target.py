"""Whether the mail server can be reached. While it is down, one delivery probes it now and then."""

import time
from collections.abc import Callable, Hashable

_FIRST_SECONDS, _LONGEST_SECONDS = 1.0, 30.0
_INTERRUPTIONS_AT_MOST = 3
"""A server may not bear one mail; one that leaves us over several in a row is down."""


class Target:
    """A target that is up, or down and probed: the others are not touched meanwhile."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._pause = 0.0
        self._probe_at = 0.0
        self._interrupted: set[Hashable] = set()

    @property
    def is_down(self) -> bool:
        """Whether the last attempt did not reach it."""
        return self._pause > 0

    def room(self, room: int, in_flight: int) -> int:
        """Say how many deliveries may be begun now: all there is room for, one probe, or none."""
        if not self.is_down:
            return room
        return 1 if not in_flight and self._clock() >= self._probe_at else 0

    def answered(self) -> None:
        """It can be reached."""
        self._pause = 0.0
        self._interrupted.clear()

    def interrupted(self, mail: Hashable) -> None:
        """It could be reached, and then left us over this mail: the mail may be the reason."""
        self._interrupted.add(mail)
        if self.is_down or len(self._interrupted) >= _INTERRUPTIONS_AT_MOST:
            self.did_not_answer()

    def did_not_answer(self) -> None:
        """It cannot be reached; each probe that fails makes the next one later."""
        now = self._clock()
        if self.is_down and now < self._probe_at:
            return  # one of those that were under way already
        self._pause = min(self._pause * 2, _LONGEST_SECONDS) if self.is_down else _FIRST_SECONDS
        self._probe_at = now + self._pause
