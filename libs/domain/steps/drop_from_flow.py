"""Remove the member at once."""

from typing import Literal

from libs.domain.step_result import Exit, StepContext, StepResult
from libs.domain.steps.step import Step


class DropFromFlowStep(Step):
    """A terminal step: it has no edge (seed 003)."""

    type: Literal["drop_from_flow"]

    def on_enter(self, context: StepContext) -> StepResult:  # noqa: ARG002  (it looks at nothing)
        """Leave the flow."""
        return Exit("drop_from_flow")
