"""What every step has: an id, a label, edges, and the questions that are asked of it."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import timedelta
from typing import Annotated, ClassVar, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, model_validator

from libs.domain.contact import CustomField
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.rules import AnyRule, Segments
from libs.domain.step_result import Continue, StepContext, StepResult
from libs.domain.strictness import is_strict

StepId = Annotated[str, Field(min_length=1, max_length=120)]


class Step(BaseModel):
    """One node of the graph. Subclasses answer `on_enter`, and `on_event` if they ever suspend.

    Attributes:
        edges: Where its ways out lead, by their names; None ends the flow there, and so does a way
            out that is not named.
    """

    model_config = ConfigDict(extra="ignore", frozen=True)

    takes_time: ClassVar[bool] = False
    """Whether a membership rests here for a time: a way round through it is no endless loop."""
    awaits_answer: ClassVar[bool] = False
    """Whether a membership stands here until another service says what became of its wish."""
    sends_email: ClassVar[bool] = False
    """Whether rules of this flow may ask what became of the mail this step sends."""

    step_id: StepId
    label: Annotated[str, Field(max_length=200)] | None = None
    edges: dict[str, StepId | None] = {}

    @model_validator(mode="after")
    def _edges_exist(self, info: ValidationInfo) -> Self:
        unknown = sorted(self.edges.keys() - set(self.edge_names()))
        if unknown and is_strict(info):
            raise ValueError(f"edges.{unknown[0]}: this step has no such edge")
        return self

    def edge_names(self) -> tuple[str, ...]:
        """Name every way out this step can have."""
        return ()

    def target(self, edge: str) -> str | None:
        """Say where an edge leads; None ends the flow."""
        return self.edges.get(edge)

    @property
    def duration(self) -> timedelta | None:
        """How long a membership stands here, if nothing but time decides that."""
        return None

    def rule(self) -> AnyRule | None:
        """Give the rule tree this step judges, if it has one."""
        return None

    def listens_to(
        self,
        custom_fields: Mapping[UUID, CustomField],  # noqa: ARG002  (most need nothing)
        segments: Segments,  # noqa: ARG002  (most need nothing)
    ) -> Iterable[str]:
        """Name the facts by which an event may move a membership that stands here."""
        return ()

    def emails(self) -> Iterable[UUID]:
        """Name the mails it may send."""
        return ()

    def templates(self) -> Iterable[str]:
        """Name the templates of the pages it may make."""
        return ()

    def issues(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (most need nothing)
        """Name what is missing before an active flow may hold this step, with places in it."""
        yield from ()

    def warnings(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (most need nothing)
        """Name what may stay as it is, and yet deserves a look, with places in this step."""
        yield from ()

    def on_enter(self, context: StepContext) -> StepResult:
        """Say what to do when a membership comes to this step."""
        return Continue(outcome=context.event.type)

    def on_event(self, context: StepContext) -> StepResult:
        """Say what to do when what the membership waited for has happened.

        Nobody waits at most steps: who did stood at another one, in whose place an edit put this.
        """
        return self.on_enter(context)


class LinearStep(Step):
    """A step with one way out."""

    def edge_names(self) -> tuple[str, ...]:
        """Name the one edge."""
        return ("next",)
