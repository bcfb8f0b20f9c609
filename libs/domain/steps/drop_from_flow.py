"""Remove the member at once."""

from typing import Literal

from libs.domain.situation import Answer, Leave, Situation
from libs.domain.steps.step import Step


class DropFromFlowStep(Step):
    """A terminal step: it has no edge (seed 003)."""

    type: Literal["drop_from_flow"]

    def arrive(self, situation: Situation) -> Answer:  # noqa: ARG002  (it looks at nothing)
        """Leave."""
        return Leave("drop_from_flow")
