"""Wait for a length of time, for a date of the contact, or until a condition holds."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, time, timedelta
from typing import Annotated, Any, Literal, Self
from uuid import UUID

from pydantic import AfterValidator, Field, model_validator

from libs.domain.calendar import (
    DurationUnit,
    check_wait,
    duration,
    earlier,
    known_zone,
    to_text,
    within_reach,
)
from libs.domain.contact import STANDARD_FIELDS, CustomField, custom_field_key, field_key
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.listening import reads_of
from libs.domain.occurrences import DateValue, date_in, first_instant
from libs.domain.predicates import Predicate, Verdict, explain
from libs.domain.rules import AnyRule, RuleTree, Segments
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, StepContext, StepResult, Suspend

_Amount = Annotated[int, Field(ge=1, strict=True)]


def _is_absent(value: object) -> bool:
    return value is None


_IF_GIVEN = Field(exclude_if=_is_absent)
"""Written only where it was given: waits for a time are written as they always were."""


def check_mode(**modes: object) -> None:
    """See that a wait is told in one way at most.

    Raises:
        ValueError: If it is told in several, naming a field that is too many.
    """
    given = [name for name, mode in modes.items() if mode is not None]
    if len(given) > 1:
        raise ValueError(f"{given[-1]}: a wait has a duration, a date or a condition, one of them")


def _name_of(field: str) -> str:
    return field_key(field) if field in STANDARD_FIELDS else custom_field_key(field)


class WaitStep(LinearStep):
    """Stands for a time, at most 730 days in all, until a date, or until its condition holds.

    The date is what `until_date_field` holds, a date field of the contact: an instant, or a day,
    and then `time` on that day in `zone` is meant. One that has passed, or is not there, is not
    waited for. Who waits follows the field if it changes.

    A condition is judged on arrival, when an event changes what it looks at, and when time alone
    could make it hold. With `timeout_amount` and `timeout_unit` the wait ends after that time at
    the latest, by the edge `timeout` if it is named (leading to None it ends the flow there),
    otherwise by the next one. A condition that cannot be judged does not hold.
    """

    type: Literal["wait"]
    duration_amount: _Amount | None = None
    duration_unit: DurationUnit | None = None
    until_date_field: Annotated[str | None, _IF_GIVEN] = None
    time: Annotated[str | None, Field(pattern=r"^([01]\d|2[0-3]):[0-5]\d$"), _IF_GIVEN] = None
    zone: Annotated[Annotated[str, AfterValidator(known_zone)] | None, _IF_GIVEN] = None
    condition: Annotated[RuleTree | None, _IF_GIVEN] = None
    timeout_amount: Annotated[_Amount | None, _IF_GIVEN] = None
    timeout_unit: Annotated[DurationUnit | None, _IF_GIVEN] = None

    @model_validator(mode="after")
    def _not_too_long(self) -> Self:
        check_wait("duration_amount", self.duration_amount, self.duration_unit)
        check_wait("timeout_amount", self.timeout_amount, self.timeout_unit)
        return self

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        check_mode(
            duration_amount=self.duration_amount,
            until_date_field=self.until_date_field,
            condition=self.condition,
        )
        return self

    @property
    def takes_time(self) -> bool:  # type: ignore[override]
        """A condition may hold on arrival, a date have passed: they stop nobody in a circle."""
        return self.condition is None and self.until_date_field is None

    @property
    def duration(self) -> timedelta | None:
        """How long it lasts, if it is a wait for a time."""
        return _length(self.duration_amount, self.duration_unit)

    def edge_names(self) -> tuple[str, ...]:
        """Name the one edge, and the one of the time-out where there is a condition."""
        return ("next",) if self.condition is None else ("next", "timeout")

    def target(self, edge: str) -> str | None:
        """Say where an edge leads; a time-out without an edge goes on as if the condition held."""
        return self.edges[edge] if edge in self.edges else self.edges.get("next")

    def rule(self) -> AnyRule | None:
        """Give the condition."""
        return self.condition

    def listens_to(
        self, custom_fields: Mapping[UUID, CustomField], segments: Segments
    ) -> Iterable[str]:
        """Name the date, or what the condition looks at."""
        if self.until_date_field is not None:
            return (_name_of(self.until_date_field),)
        return reads_of(self.condition, custom_fields, segments) if self.condition else ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:
        """A draft may not know yet how long to wait, or for what."""
        if self.until_date_field is not None:
            if not inventory.holds_dates(self.until_date_field):
                yield Issue.at("until_date_field", code="unknown")
        elif self.condition is None and self.duration is None:
            yield Issue.at("duration_amount")
        elif (self.timeout_amount is None) is not (self.timeout_unit is None):
            yield Issue.at("timeout_amount")

    def warnings(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (as in Step)
        """A condition that never holds keeps contacts for ever, unless the wait has an end."""
        if self.condition is not None and self.timeout_amount is None:
            yield Issue.at("timeout_amount", code="no_timeout")

    def on_enter(self, context: StepContext) -> StepResult:
        """Stand until the time has passed, or the condition holds."""
        if context.condition is not None:
            return self._judge(context.condition, context, context.now)
        if self.until_date_field is not None:
            return self._until_date(self.until_date_field, context)
        if self.duration is None:
            return Continue(outcome="skipped", details={"reason": "no_duration"})
        return Suspend("timer", until=context.now + self.duration)

    def on_event(self, context: StepContext) -> StepResult:
        """Go on if the time has passed or the condition holds, whatever it was that happened."""
        if context.condition is not None:
            return self._judge(context.condition, context, context.stood_at)
        if self.until_date_field is not None:
            return self._until_date(self.until_date_field, context)
        due_at = context.stood_at + (self.duration or timedelta(0))
        return Continue(outcome="waited") if due_at <= context.now else Suspend("timer", due_at)

    def _until_date(self, field: str, context: StepContext) -> StepResult:
        date = date_in(context.contact, field)
        if date is None:
            return Continue(outcome="skipped", details={"reason": "no_date"})
        due_at = self._instant_of(date)
        if due_at <= context.now:
            return Continue(outcome="waited", details={"until": to_text(due_at)})
        until = within_reach(due_at, context.now)
        details = {"until": to_text(due_at)}
        return Suspend("event", until, details=details, times_out_at=due_at)

    def _instant_of(self, date: DateValue) -> datetime:
        if not date.bare:
            return date.instant
        at = time.fromisoformat(self.time or "00:00")
        return first_instant(datetime.combine(date.instant.date(), at), self.zone or "UTC")

    def _judge(self, condition: Predicate, context: StepContext, stood_at: datetime) -> StepResult:
        verdict = condition(context.contact, context.now)
        if verdict.outcome is True:
            return Continue(outcome="condition_met", details=explain(verdict))
        limit = _length(self.timeout_amount, self.timeout_unit)
        ends_at = None if limit is None else stood_at + limit
        if ends_at is not None and ends_at <= context.now:
            return Continue("timeout", "timed_out", explain(verdict))
        until = earlier(ends_at, within_reach(verdict.until, context.now))
        return Suspend("event", until, details=_told(verdict, ends_at), times_out_at=ends_at)


def _told(verdict: Verdict, ends_at: datetime | None) -> dict[str, Any]:
    """Tell what is waited for, and until when; when the condition is judged is nobody's concern."""
    return explain(verdict) if ends_at is None else {"until": to_text(ends_at), **explain(verdict)}


def _length(amount: int | None, unit: DurationUnit | None) -> timedelta | None:
    return duration(amount, unit) if amount and unit else None
