"""Branch on a rule."""

from collections.abc import Mapping
from typing import Any, Literal

from libs.domain.predicates import Verdict
from libs.domain.rules import AnyRule, RuleTree
from libs.domain.step_result import Continue, Edge, StepContext, StepResult
from libs.domain.steps.step import Step, StepId


class ConditionCheckStep(Step):
    """Judges a rule tree and follows `true_step_id`, `false_step_id` or `default_step_id`.

    The outcome's own edge counts if the key was given (given as null it ends the flow there);
    otherwise the default edge. A rule that cannot be judged follows the default edge.
    """

    type: Literal["condition_check"]
    condition: RuleTree | None = None
    true_step_id: StepId | None = None
    false_step_id: StepId | None = None
    default_step_id: StepId | None = None

    def edges(self) -> Mapping[str, StepId | None]:
        """Give all three edges."""
        return {
            "true_step_id": self.true_step_id,
            "false_step_id": self.false_step_id,
            "default_step_id": self.default_step_id,
        }

    def target(self, edge: Edge) -> StepId | None:
        """Say where an edge leads; an edge that was not given falls back to the default one."""
        key = f"{edge}_step_id"
        return self.edges()[key] if key in self.model_fields_set else self.default_step_id

    def rule(self) -> AnyRule | None:
        """Give the rule tree."""
        return self.condition

    def missing(self) -> list[str]:
        """A draft may not have its rule yet."""
        return [] if self.condition else ["condition"]

    def on_enter(self, context: StepContext) -> StepResult:
        """Judge the rule now and go on."""
        if context.condition is None:
            return Continue(edge="default", outcome="unjudgeable")
        verdict = context.condition(context.snapshot, context.now)
        edge, outcome = _way(verdict)
        return Continue(edge, outcome, details=_explain(verdict))


def _way(verdict: Verdict) -> tuple[Edge, str]:
    if verdict.outcome is None:
        return "default", "unjudgeable"
    return ("true", "true") if verdict.outcome else ("false", "false")


def _explain(verdict: Verdict) -> dict[str, Any]:
    return {
        "judged": [
            {"asked": seen.asked, "saw": seen.saw, "outcome": seen.outcome} for seen in verdict.seen
        ]
    }
