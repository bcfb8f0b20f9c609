"""The one place that reads the time.

In development all services may run faster than the world: with a speed of 86,400 one real second
is a day. Every clock counts from the same origin, so all services agree.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta


@dataclass(frozen=True, slots=True)
class Clock:
    """A clock with a speed; at speed 1 it is the real time."""

    speed: float = 1.0
    origin: datetime | None = None

    def now(self) -> datetime:
        """Give the time, UTC."""
        return self.from_real(datetime.now(UTC))

    def from_real(self, real: datetime) -> datetime:
        """Turn an instant of the real world into this clock's."""
        if self.origin is None or self.speed == 1.0:
            return real
        return self.origin + (real - self.origin) * self.speed

    def in_real(self, length: timedelta) -> datetime:
        """Say what this clock will show after a length of real time.

        What waits for the outside world (a mail server that is down) waits in real time.
        """
        return self.now() + length * self.speed
