"""Wait for a length of time.

Two more modes belong here (`until_date_field`, `condition`); a wait has exactly one.
"""

from collections.abc import Iterator
from typing import Annotated, ClassVar, Literal, Self

from pydantic import Field, model_validator

from libs.domain.calendar import MAX_WAIT, DurationUnit, duration
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.step import LinearStep
from libs.domain.step_result import Continue, StepContext, StepResult, Suspend


class WaitStep(LinearStep):
    """`duration_amount` of `duration_unit`, at most 730 days in all."""

    takes_time: ClassVar[bool] = True

    type: Literal["wait"]
    duration_amount: Annotated[int, Field(ge=1, strict=True)] | None = None
    duration_unit: DurationUnit | None = None

    @model_validator(mode="after")
    def _not_too_long(self) -> Self:
        if self.duration_amount is None or self.duration_unit is None:
            return self
        # Checked against the longest in this unit, so that no amount can overflow.
        longest = MAX_WAIT // duration(1, self.duration_unit)
        if self.duration_amount > longest:
            raise ValueError(f"duration_amount: a wait lasts at most {MAX_WAIT.days} days")
        return self

    def issues(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (as in Step)
        """A draft may not know yet how long to wait."""
        if not self.duration_amount or not self.duration_unit:
            yield Issue.at("duration_amount")

    def on_enter(self, context: StepContext) -> StepResult:
        """Stand until the time has passed."""
        if self.duration_amount is None or self.duration_unit is None:
            return Continue(outcome="skipped", details={"reason": "no_duration"})
        length = duration(self.duration_amount, self.duration_unit)
        return Suspend("timer", until=context.now + length)

    def on_event(self, context: StepContext) -> StepResult:  # noqa: ARG002  (time has passed, that is all)
        """Go on."""
        return Continue(outcome="waited")
