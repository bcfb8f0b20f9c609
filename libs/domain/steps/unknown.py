"""A step of a type this version of the program does not know; a newer one wrote it."""

from pydantic import ConfigDict, ValidationInfo, field_validator

from libs.domain.step import LinearStep
from libs.domain.step_result import StepContext, StepResult
from libs.domain.strictness import refuse_if_strict


class UnknownStepType(Exception):  # noqa: N818  (it passes once this process is replaced)
    """The step has a type that this version of the program does not know."""


class UnknownStep(LinearStep):
    """Kept as it is, so that the rest of the flow can be read. Nobody can be walked through it."""

    model_config = ConfigDict(extra="allow", frozen=True)

    type: str

    @field_validator("type")
    @classmethod
    def _is_no_mistake(cls, value: str, info: ValidationInfo) -> str:
        return refuse_if_strict(info, value, "step")

    def on_enter(self, context: StepContext) -> StepResult:
        """Refuse.

        Raises:
            UnknownStepType: Always. Whoever walks must leave the membership where it is, for a
                newer version of the program: guessing an edge would be a decision nobody made.
        """
        raise UnknownStepType(f"step {self.step_id} of {context.membership.flow_id}: {self.type}")

    def on_event(self, context: StepContext) -> StepResult:
        """Refuse, as in `on_enter`."""
        return self.on_enter(context)
