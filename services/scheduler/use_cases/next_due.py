"""When to look for due timers again, so that an idle tick asks the database nothing."""

from collections.abc import Iterable, Mapping
from datetime import datetime

from libs.chassis.exactly_once.positions import OwnedPartition


class NextDue:
    """For each owned partition an instant before which nothing is due.

    It may be too early, which costs a look in vain, and is never too late: only the owner of a
    partition keeps timers in it, each one is noted here before its transaction commits, and what is
    known ends with the ownership.
    """

    def __init__(self) -> None:
        self._known: dict[int, tuple[int, datetime]] = {}

    def may_be_due(self, owned: Mapping[int, OwnedPartition], until: datetime) -> list[int]:
        """Name the partitions that must be looked at."""
        return [partition for partition, one in owned.items() if not self._is_later(one, until)]

    def looked(self, one: OwnedPartition, next_due: datetime) -> None:
        """Note that nothing is left in a partition that is due before an instant."""
        self._known[one.partition] = (one.epoch, next_due)

    def kept(self, partition: int, due_at: datetime) -> None:
        """Note a new timer."""
        epoch, known = self._known.get(partition, (0, due_at))
        if due_at < known:
            self._known[partition] = (epoch, due_at)

    def forget(self, partitions: Iterable[int]) -> None:
        """Look at these partitions the next time, whatever was known."""
        for partition in partitions:
            self._known.pop(partition, None)

    def _is_later(self, one: OwnedPartition, until: datetime) -> bool:
        epoch, next_due = self._known.get(one.partition, (one.epoch, until))
        return epoch == one.epoch and next_due > until
