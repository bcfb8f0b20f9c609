"""From the time to the date triggers whose moment it has passed, without looking at every one.

A trigger's *slice* is one day's share of it: the dates that fall due on that day, at its time.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from libs.domain.occurrences import CAUGHT_UP, DateRule

TriggerKey = tuple[UUID, str, int]
"""A flow, one of its triggers, and the version that made it what it is."""

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ScheduledTrigger:
    """A date trigger, while it was or is active with the same settings.

    Attributes:
        flow_version: The definition that made it what it is.
        settings: The trigger as it is defined.
        active_since: When its flow was activated with these settings.
        active_until: When that ended; None if it is active still.
        opened: Where its activation stands in the order of all changes.
    """

    flow_id: UUID
    trigger_id: str
    workspace_id: UUID
    flow_version: int
    field: str
    rule: DateRule
    settings: Mapping[str, Any]
    active_since: datetime
    active_until: datetime | None
    opened: int

    @property
    def key(self) -> TriggerKey:
        """What it is known by."""
        return self.flow_id, self.trigger_id, self.flow_version


class Passed(NamedTuple):
    """How far time has been followed, and which changes of triggers are known."""

    until: datetime
    revision: int


class Slice(NamedTuple):
    """One day's share of a trigger, and when it falls due."""

    trigger: ScheduledTrigger
    day: date
    due_at: datetime


class DateSchedule:
    """Every date trigger of every active flow, by field and by the clock it goes by.

    Attributes:
        revision: The last change that is known.
    """

    def __init__(self) -> None:
        self.revision = 0
        self._open: dict[TriggerKey, ScheduledTrigger] = {}  # in the order they were opened
        self._closed: dict[TriggerKey, ScheduledTrigger] = {}
        self._by_clock: defaultdict[object, dict[TriggerKey, ScheduledTrigger]] = defaultdict(dict)
        self._by_field: defaultdict[object, dict[TriggerKey, ScheduledTrigger]] = defaultdict(dict)

    def put(self, trigger: ScheduledTrigger, revision: int) -> None:
        """Take in a trigger that was opened or closed."""
        self.revision = max(self.revision, revision)
        self._remove(trigger)
        self._by_field[_field(trigger)][trigger.key] = trigger
        if trigger.active_until is None:
            self._open[trigger.key] = trigger
            self._by_clock[_clock(trigger)][trigger.key] = trigger
        else:
            self._closed[trigger.key] = trigger

    def forget_closed(self, before: datetime) -> None:
        """Forget the triggers of which nothing can be made up for any more."""
        for one in list(self._closed.values()):
            if one.active_until and one.active_until < before:
                self._remove(one)

    def _remove(self, trigger: ScheduledTrigger) -> None:
        if self._open.pop(trigger.key, None):
            _leave(self._by_clock, _clock(trigger), trigger.key)
            _leave(self._by_field, _field(trigger), trigger.key)
        elif self._closed.pop(trigger.key, None):
            _leave(self._by_field, _field(trigger), trigger.key)

    def on_field(self, workspace_id: UUID, field: str) -> Iterable[ScheduledTrigger]:
        """Give the triggers that a field's date concerns."""
        found = self._by_field.get((workspace_id, field))
        return found.values() if found else ()

    def __len__(self) -> int:
        return len(self._open) + len(self._closed)

    def next_after(self, now: datetime) -> datetime:
        """Say when the next slice falls due."""
        rules = (next(iter(group.values())).rule for group in self._by_clock.values())
        return min((rule.due_on(rule.last_day(now) + _DAY) for rule in rules), default=_NEVER)

    def passed(self, before: Passed, until: datetime) -> tuple[list[Slice], int]:
        """Say which slices have fallen due since, and how many did too long ago to be made up for.

        A trigger that was opened by a change not known then counts from its activation on, however
        far time was followed: so it makes no difference whether a change or the time came first.
        """
        slices: list[Slice] = []
        skipped = 0
        for after, last, triggers in self._windows(before, until):
            rule, horizon = triggers[0].rule, min(until - CAUGHT_UP, last)
            days = rule.days_due(max(after, horizon), last)
            slices += [Slice(one, day, rule.due_on(day)) for one in triggers for day in days]
            if after < horizon:
                skipped += (rule.last_day(horizon) - rule.last_day(after)).days * len(triggers)
        return slices, skipped

    def _windows(
        self, before: Passed, until: datetime
    ) -> Iterator[tuple[datetime, datetime, list[ScheduledTrigger]]]:
        """Give triggers that go by one clock, and between which instants their slices count."""
        for group in self._by_clock.values():
            if known := [one for one in group.values() if one.opened <= before.revision]:
                yield before.until, until, known
        for one in reversed(self._open.values()):
            if one.opened <= before.revision:
                break
            yield one.active_since, until, [one]
        for one in self._closed.values():
            after = before.until if one.opened <= before.revision else one.active_since
            yield after, min(until, one.active_until or until), [one]


def _clock(trigger: ScheduledTrigger) -> object:
    return trigger.rule.at, trigger.rule.zone


def _field(trigger: ScheduledTrigger) -> object:
    return trigger.workspace_id, trigger.field


def _leave(
    groups: dict[object, dict[TriggerKey, ScheduledTrigger]], name: object, key: TriggerKey
) -> None:
    groups[name].pop(key, None)
    if not groups[name]:
        del groups[name]
