"""Branch on a rule."""

from collections.abc import Iterator
from typing import Literal

from libs.domain.inventory import Inventory
from libs.domain.predicates import Verdict, explain
from libs.domain.rules import AnyRule, RuleTree
from libs.domain.step import Edge, Step, StepId
from libs.domain.step_result import Continue, StepContext, StepResult

_EDGES = ("true", "false", "default")


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

    def edges(self) -> tuple[Edge, ...]:
        """Give all three edges."""
        return tuple(Edge(name, f"{name}_step_id", self.target(name)) for name in _EDGES)

    def target(self, edge: str) -> str | None:
        """Say where an edge leads; an edge that was not given falls back to the default one."""
        path = f"{edge}_step_id"
        if path not in self.model_fields_set:
            return self.default_step_id
        return self.true_step_id if edge == "true" else self._false_or_default(edge)

    def _false_or_default(self, edge: str) -> str | None:
        return self.false_step_id if edge == "false" else self.default_step_id

    def rule(self) -> AnyRule | None:
        """Give the rule tree."""
        return self.condition

    def problems(self, inventory: Inventory) -> Iterator[str]:  # noqa: ARG002  (as in Step)
        """A draft may not have its rule yet."""
        if self.condition is None:
            yield "condition"

    def on_enter(self, context: StepContext) -> StepResult:
        """Judge the rule now and go on."""
        if context.condition is None:
            return Continue(edge="default", outcome="unjudgeable")
        verdict = context.condition(context.contact, context.now)
        edge, outcome = _edge_for(verdict)
        return Continue(edge, outcome, details=explain(verdict))


def _edge_for(verdict: Verdict) -> tuple[str, str]:
    if verdict.outcome is None:
        return "default", "unjudgeable"
    return ("true", "true") if verdict.outcome else ("false", "false")
