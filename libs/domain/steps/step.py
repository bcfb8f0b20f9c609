"""What every step has: an id, a label, and the questions the walk asks of it."""

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.rules import AnyRule
from libs.domain.step_result import Continue, Edge, StepContext, StepResult

StepId = Annotated[str, Field(min_length=1, max_length=120)]


class Step(BaseModel):
    """One node of the graph. Subclasses answer `on_enter`, and `on_event` if they ever suspend."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    step_id: StepId
    label: Annotated[str, Field(max_length=200)] | None = None

    def edges(self) -> Mapping[str, StepId | None]:
        """Give every edge field of this step with its target; None ends the flow there."""
        return {}

    def target(self, edge: Edge) -> StepId | None:
        """Say where an edge leads; None ends the flow."""
        return self.edges().get(f"{edge}_step_id")

    def rule(self) -> AnyRule | None:
        """Give the rule tree this step judges, if it has one."""
        return None

    def missing(self) -> list[str]:
        """Name the fields that a draft may leave open but an active flow may not."""
        return []

    def on_enter(self, context: StepContext) -> StepResult:
        """Say what to do when a member comes to this step."""
        return Continue(outcome=context.event.type)

    def on_event(self, context: StepContext) -> StepResult:
        """Say what to do when what the member waited for has happened."""
        return Continue(outcome=context.event.type)


class LinearStep(Step):
    """A step with one way out."""

    next_step_id: StepId | None = None

    def edges(self) -> Mapping[str, StepId | None]:
        """Give the one edge."""
        return {"next_step_id": self.next_step_id}
