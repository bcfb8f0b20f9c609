"""Noticing a clock that jumps: firing early cannot be undone."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from libs.chassis.telemetry.logs import logger

_TOLERANCE = timedelta(seconds=2)
_CALM_TICKS = 100
_log = logger(__name__)


class ClockGuard:
    """Compares the database's clock with this machine's monotonic one, from tick to tick."""

    def __init__(self, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._monotonic = monotonic
        self._last: tuple[datetime, float] | None = None
        self._calm = _CALM_TICKS

    def agrees(self, now: datetime) -> bool:
        """Say whether time may be trusted: after a jump, only when it has run evenly for a while.

        Args:
            now: The database's clock, real time.
        """
        here = self._monotonic()
        last, self._last = self._last, (now, here)
        if last is None:
            return True
        jump = (now - last[0]) - timedelta(seconds=here - last[1])
        if abs(jump) > _TOLERANCE:
            _log.error("clock.jumped", seconds=jump.total_seconds())
            self._calm = 0
        else:
            self._calm += 1
        return self._calm >= _CALM_TICKS
