"""Fires when a date of the contact comes, or so many days before or after it.

No event says that a date has come: the scheduler knows the dates, and enrolls who is due.
"""

from collections.abc import Iterable, Iterator
from datetime import time
from functools import cached_property
from typing import Annotated, Literal

from pydantic import AfterValidator, Field

from libs.domain.calendar import known_zone
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.occurrences import DateRule
from libs.domain.trigger import Trigger

_LONGEST_OFFSET = 3660


class DateBasedTrigger(Trigger):
    """The date in `field` has come.

    Attributes:
        field: `createdAt`, or a custom field by its api name; a draft may not know it yet.
        offset_days: So many days after the date; before it, if negative. None in a draft.
        recurrence: Only on the date itself, or on each anniversary of it as well.
        time: The time of day.
        zone: Whose clock is meant, by its IANA name.
    """

    type: Literal["date_based"]
    field: Annotated[str, Field(max_length=200)] | None = None
    offset_days: Annotated[int, Field(ge=-_LONGEST_OFFSET, le=_LONGEST_OFFSET)] | None = 0
    recurrence: Literal["never", "annually"] = "never"
    time: Annotated[str, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$")] = "09:00"
    zone: Annotated[str, AfterValidator(known_zone)] = "UTC"

    @property
    def is_complete(self) -> bool:
        """Whether it says which date it waits for."""
        return bool(self.field) and self.offset_days is not None

    @cached_property
    def rule(self) -> DateRule:
        """When it fires, counted from the date."""
        at = time.fromisoformat(self.time)
        return DateRule(self.offset_days or 0, self.recurrence == "annually", at, self.zone)

    def fields(self) -> Iterable[str]:
        """Name its field."""
        return (self.field,) if self.field else ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know its field yet, or name one that holds no dates."""
        if not inventory.holds_dates(self.field):
            yield Issue.at("field", code="unknown" if self.field else "missing")
        if self.offset_days is None:
            yield Issue.at("offset_days")


def date_triggers(triggers: Iterable[Trigger]) -> dict[str, DateBasedTrigger]:
    """Give the date triggers of a flow that name a field, each by its id, or else its place."""
    return {
        trigger.trigger_id or str(place): trigger
        for place, trigger in enumerate(triggers)
        if isinstance(trigger, DateBasedTrigger) and trigger.is_complete
    }
