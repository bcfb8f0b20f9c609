"""Steps as the native API takes them (README.md, "Steps"), and what they are to the engine.

Each has its edges beside its other fields, as `next_step_id`; the engine keeps them together.
"""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal, Self, get_args
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator

from libs.domain.calendar import MAX_WAIT, DurationUnit, duration
from libs.domain.step import StepId
from services.api.native.rules import RuleTree

Json = dict[str, Any]


class WireStep(BaseModel):
    """What every step has."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    edge_fields: ClassVar[Mapping[str, str]] = {}
    """The field of each edge, by the name the engine has for the edge."""

    step_id: StepId
    label: Annotated[str, Field(max_length=200)] | None = None

    def compiled(self) -> Json:
        """Write it in the engine's language. An edge that was not given is not named there."""
        step = self.model_dump(mode="json", exclude_unset=True)
        edges = {edge: step.pop(field) for edge, field in self.edge_fields.items() if field in step}
        return {**step, "edges": edges} if edges else step


class _Linear(WireStep):
    edge_fields: ClassVar[Mapping[str, str]] = {"next": "next_step_id"}

    next_step_id: StepId | None = None


class SendEmail(_Linear):
    """Send one approved mail; an `operational` one ignores the subscription fields."""

    type: Literal["send_email"]
    email_id: UUID | None = None
    operational: bool = False


class Wait(_Linear):
    """Wait for `duration_amount` of `duration_unit`, at most 730 days in all."""

    type: Literal["wait"]
    duration_amount: Annotated[int, Field(ge=1, strict=True)] | None = None
    duration_unit: DurationUnit | None = None

    @model_validator(mode="after")
    def _not_too_long(self) -> Self:
        if self.duration_amount is None or self.duration_unit is None:
            return self
        # Checked against the longest in this unit, so that no amount can overflow.
        if self.duration_amount > MAX_WAIT // duration(1, self.duration_unit):
            raise ValueError(f"duration_amount: a wait lasts at most {MAX_WAIT.days} days")
        return self


class ConditionCheck(WireStep):
    """Branch on a rule."""

    edge_fields: ClassVar[Mapping[str, str]] = {
        "true": "true_step_id",
        "false": "false_step_id",
        "default": "default_step_id",
    }

    type: Literal["condition_check"]
    condition: RuleTree | None = None
    true_step_id: StepId | None = None
    false_step_id: StepId | None = None
    default_step_id: StepId | None = None


class DropFromFlow(WireStep):
    """End the run at once. It has no edge."""

    type: Literal["drop_from_flow"]


AnyWireStep = Annotated[
    SendEmail | Wait | ConditionCheck | DropFromFlow, Field(discriminator="type")
]
_KINDS: tuple[type[WireStep], ...] = get_args(get_args(AnyWireStep)[0])
EDGE_FIELDS: Mapping[str, frozenset[str]] = {
    get_args(kind.model_fields["type"].annotation)[0]: frozenset(kind.edge_fields.values())
    for kind in _KINDS
}
"""Where a step of each type keeps its edges."""
