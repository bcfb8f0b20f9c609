"""End the run at once."""

from typing import Literal

from libs.domain.step import Step
from libs.domain.step_result import Exit, StepContext, StepResult


class DropFromFlowStep(Step):
    """A terminal step: it has no edge."""

    type: Literal["drop_from_flow"]

    def on_enter(self, context: StepContext) -> StepResult:  # noqa: ARG002  (it looks at nothing)
        """Leave the flow."""
        return Exit("drop_from_flow")
