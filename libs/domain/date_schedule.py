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

TriggerKey = tuple[UUID, str]
"""A flow, and one of its triggers."""

_NEVER = datetime(9999, 1, 1, tzinfo=UTC)
_DAY = timedelta(days=1)


@dataclass(frozen=True, slots=True)
class ScheduledTrigger:
    """A date trigger of an active flow.

    Attributes:
        flow_version: The definition that made it what it is.
        settings: The trigger as it is defined.
        active_since: When its flow was activated with these settings.
        revision: Where its last change stands in the order of all changes.
    """

    flow_id: UUID
    trigger_id: str
    workspace_id: UUID
    flow_version: int
    field: str
    rule: DateRule
    settings: Mapping[str, Any]
    active_since: datetime
    revision: int

    @property
    def key(self) -> TriggerKey:
        """What it is known by."""
        return self.flow_id, self.trigger_id


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
        self._triggers: dict[TriggerKey, ScheduledTrigger] = {}  # in the order of their changes
        self._by_clock: defaultdict[object, dict[TriggerKey, ScheduledTrigger]] = defaultdict(dict)
        self._by_field: defaultdict[object, dict[TriggerKey, ScheduledTrigger]] = defaultdict(dict)

    def put(self, key: TriggerKey, revision: int, trigger: ScheduledTrigger | None) -> None:
        """Take in a change of a trigger; None if it fires no more."""
        self.revision = max(self.revision, revision)
        if old := self._triggers.pop(key, None):
            _leave(self._by_clock, _clock(old), key)
            _leave(self._by_field, _field(old), key)
        if trigger:
            self._triggers[key] = trigger
            self._by_clock[_clock(trigger)][key] = trigger
            self._by_field[_field(trigger)][key] = trigger

    def on_field(self, workspace_id: UUID, field: str) -> Iterable[ScheduledTrigger]:
        """Give the triggers that a field's date concerns."""
        found = self._by_field.get((workspace_id, field))
        return found.values() if found else ()

    def __len__(self) -> int:
        return len(self._triggers)

    def next_after(self, now: datetime) -> datetime:
        """Say when the next slice falls due."""
        rules = (next(iter(group.values())).rule for group in self._by_clock.values())
        return min((rule.due_on(rule.last_day(now) + _DAY) for rule in rules), default=_NEVER)

    def passed(self, before: Passed, until: datetime) -> tuple[list[Slice], int]:
        """Say which slices have fallen due since, and how many did too long ago to be made up for.

        A trigger whose last change was not known yet counts from its activation on, however far
        time was followed: so it makes no difference whether a change or the time came first.
        """
        horizon = until - CAUGHT_UP
        slices: list[Slice] = []
        skipped = 0
        for after, triggers in self._windows(before):
            rule = triggers[0].rule
            days = rule.days_due(max(after, horizon), until)
            slices += [Slice(one, day, rule.due_on(day)) for one in triggers for day in days]
            if after < horizon:
                skipped += (rule.last_day(horizon) - rule.last_day(after)).days * len(triggers)
        return slices, skipped

    def _windows(self, before: Passed) -> Iterator[tuple[datetime, list[ScheduledTrigger]]]:
        """Give triggers that go by one clock, with the instant after which their slices count."""
        for group in self._by_clock.values():
            if known := [one for one in group.values() if one.revision <= before.revision]:
                yield before.until, known
        for one in reversed(self._triggers.values()):
            if one.revision <= before.revision:
                break
            yield one.active_since, [one]


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
