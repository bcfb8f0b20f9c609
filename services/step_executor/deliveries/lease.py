"""A sender's lease: the right to hand mails over, for a while.

The lease is counted on this machine's boot-time clock, which also runs while the machine or the
process sleeps, from before the heartbeat was sent. So it ends here before anyone else can see it
end: another process takes it away only after it has itself seen the same heartbeat for a whole
lease. A lease that has run out is never renewed; the process begins a new one.
"""

import time
from collections.abc import Callable
from uuid import UUID, uuid4

from services.step_executor.store.senders import Heartbeat


def boot_time() -> float:
    """Read the clock that counts since the machine was started, sleep included, in seconds."""
    clock = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
    return time.clock_gettime(clock)


class Lease:
    """The lease of this process.

    Attributes:
        token: The name under which deliveries are claimed; a new one for each lease.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = boot_time) -> None:
        self.token = uuid4()
        self.seconds = seconds
        self._clock = clock
        self._until = 0.0

    def begin(self) -> UUID:
        """Begin a new lease, which does not hold before its first heartbeat."""
        self.token, self._until = uuid4(), 0.0
        return self.token

    def before_heartbeat(self) -> float:
        """Read the clock, before a heartbeat is sent."""
        return self._clock()

    def prolong(self, sent_at: float) -> None:
        """Hold for a whole lease from when the heartbeat was sent that the database has taken."""
        self._until = sent_at + self.seconds

    def has_run_out(self) -> bool:
        """Say whether it must not be renewed any more."""
        return self._clock() >= self._until

    def holds(self, token: UUID) -> bool:
        """Say whether what was claimed under this name may be handed over now."""
        return token == self.token and not self.has_run_out()


class Watch:
    """What this process has seen of the heartbeats of others.

    Only time in which the database answered counts: after an outage everyone is given a whole
    lease anew, for their heartbeats could not be written either. Whoever has a longer lease than
    this process is given that.
    """

    def __init__(self, seconds: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds = seconds
        self._clock = clock
        self._seen: dict[UUID, tuple[int, float]] = {}
        self._looked_at: float | None = None

    def look(self, heartbeats: dict[UUID, Heartbeat]) -> list[tuple[UUID, int]]:
        """Take heartbeats in; give those (lease, beats) that have stood still for too long."""
        now = self._clock()
        if self._looked_at is not None and now - self._looked_at > self._seconds / 2:
            self._seen.clear()
        self._looked_at = now
        self._seen = {
            lease: self._since(lease, one.beats, now) for lease, one in heartbeats.items()
        }
        return [
            (lease, one.beats)
            for lease, one in heartbeats.items()
            if now - self._seen[lease][1] >= max(self._seconds, one.lease_seconds)
        ]

    def forget(self) -> None:
        """Begin anew: the database did not answer."""
        self._seen.clear()

    def _since(self, lease: UUID, beats: int, now: float) -> tuple[int, float]:
        seen = self._seen.get(lease)
        return seen if seen is not None and seen[0] == beats else (beats, now)
