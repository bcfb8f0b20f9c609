"""What every step has: an id, a label, edges, and the questions that are asked of it."""

from collections.abc import Iterable, Iterator, Mapping
from typing import Annotated, ClassVar, NamedTuple
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from libs.domain.contact import CustomField
from libs.domain.inventory import Inventory
from libs.domain.rules import AnyRule
from libs.domain.step_result import Continue, StepContext, StepResult

StepId = Annotated[str, Field(min_length=1, max_length=120)]


class Edge(NamedTuple):
    """A way out of a step.

    Attributes:
        name: What a result calls it: `next`, `true`, `arm:<id>`.
        path: Where the target stands in the step's document: `next_step_id`, `arms.0.next_step_id`.
        target: The step it leads to; None ends the flow there.
    """

    name: str
    path: str
    target: str | None


class Step(BaseModel):
    """One node of the graph. Subclasses answer `on_enter`, and `on_event` if they ever suspend."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    takes_time: ClassVar[bool] = False
    """Whether a membership rests here for a time: a way round through it is no endless loop."""
    sends_email: ClassVar[bool] = False
    """Whether rules of this flow may ask what became of the mail this step sends."""

    step_id: StepId
    label: Annotated[str, Field(max_length=200)] | None = None

    def edges(self) -> tuple[Edge, ...]:
        """Give every way out, also those that lead nowhere: the one place that names them."""
        return ()

    def target(self, edge: str) -> str | None:
        """Say where an edge leads; None ends the flow."""
        return next((one.target for one in self.edges() if one.name == edge), None)

    def rule(self) -> AnyRule | None:
        """Give the rule tree this step judges, if it has one."""
        return None

    def listens_to(self, custom_fields: Mapping[UUID, CustomField]) -> Iterable[str]:  # noqa: ARG002  (most need nothing)
        """Name the facts by which an event may move a membership that stands here."""
        return ()

    def emails(self) -> Iterable[UUID]:
        """Name the mails it may send."""
        return ()

    def problems(self, inventory: Inventory) -> Iterator[str]:  # noqa: ARG002  (most need nothing)
        """Name what is missing before an active flow may hold this step, as paths into the step."""
        yield from ()

    def on_enter(self, context: StepContext) -> StepResult:
        """Say what to do when a membership comes to this step."""
        return Continue(outcome=context.event.type)

    def on_event(self, context: StepContext) -> StepResult:
        """Say what to do when what the membership waited for has happened."""
        return Continue(outcome=context.event.type)


class LinearStep(Step):
    """A step with one way out."""

    next_step_id: StepId | None = None

    def edges(self) -> tuple[Edge, ...]:
        """Give the one edge."""
        return (Edge("next", "next_step_id", self.next_step_id),)

    def target(self, edge: str) -> str | None:
        """Say where the one edge leads."""
        return self.next_step_id if edge == "next" else None
