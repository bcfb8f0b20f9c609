"""The database's clock, which all schedulers share, read now and then and carried on in between."""

import time
from collections.abc import Callable
from datetime import datetime, timedelta

from libs.chassis.postgres.pool import Pool
from libs.chassis.telemetry.logs import logger
from services.scheduler.store import timers

_READ_SECONDS = 1.0
_TOLERANCE = timedelta(seconds=2)
_CALM_READINGS = 5
_log = logger(__name__)


class ClockGuard:
    """Notices a clock that jumps, because firing early cannot be undone.

    It compares the database's clock with this machine's monotonic one, from reading to reading.
    """

    def __init__(self) -> None:
        self._last: tuple[datetime, float] | None = None
        self._calm = _CALM_READINGS

    def agrees(self, real: datetime, here: float, took: float = 0.0) -> bool:
        """Say whether time may be trusted: after a jump, only when it has run evenly for a while.

        Args:
            real: The database's clock, real time.
            here: The monotonic clock when the answer came.
            took: How long the answer took, in seconds: so much they may differ innocently.
        """
        last, self._last = self._last, (real, here)
        if last is None:
            return True
        jump = (real - last[0]) - timedelta(seconds=here - last[1])
        if abs(jump) > _TOLERANCE + timedelta(seconds=took):
            _log.error("clock.jumped", seconds=jump.total_seconds())
            self._calm = 0
        else:
            self._calm += 1
        return self._calm >= _CALM_READINGS


class DatabaseClock:
    """Says what the database's clock shows; asks it once a second."""

    def __init__(self, pool: Pool, monotonic: Callable[[], float] = time.monotonic) -> None:
        self._pool = pool
        self._monotonic = monotonic
        self._guard = ClockGuard()
        self._read: tuple[datetime, float] | None = None
        self._trusted = False

    async def now(self) -> datetime | None:
        """Give the time, real, at most a little late and never early; None while it is doubtful."""
        if self._read is None or self._monotonic() - self._read[1] > _READ_SECONDS:
            self._read = await self._ask()
        real, here = self._read
        return real + timedelta(seconds=self._monotonic() - here) if self._trusted else None

    async def _ask(self) -> tuple[datetime, float]:
        asked = self._monotonic()
        real = await timers.database_time(self._pool)
        here = self._monotonic()
        self._trusted = self._guard.agrees(real, here, here - asked)
        return real, here
