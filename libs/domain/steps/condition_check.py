"""Branch on a rule."""

from collections.abc import Iterator
from typing import Literal

from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.predicates import Verdict, explain
from libs.domain.rules import AnyRule, RuleTree
from libs.domain.step import Step
from libs.domain.step_result import Continue, StepContext, StepResult

_EDGES = ("true", "false", "default")


class ConditionCheckStep(Step):
    """Judges a rule tree and follows the edge `true`, `false` or `default`.

    The outcome's own edge counts if it is named (leading to None it ends the flow there); otherwise
    the default edge. A rule that cannot be judged follows the default edge.
    """

    type: Literal["condition_check"]
    condition: RuleTree | None = None

    def edge_names(self) -> tuple[str, ...]:
        """Name all three edges."""
        return _EDGES

    def target(self, edge: str) -> str | None:
        """Say where an edge leads; one that is not named falls back to the default one."""
        return self.edges[edge] if edge in self.edges else self.edges.get("default")

    def rule(self) -> AnyRule | None:
        """Give the rule tree."""
        return self.condition

    def issues(self, inventory: Inventory) -> Iterator[Issue]:  # noqa: ARG002  (as in Step)
        """A draft may not have its rule yet."""
        if self.condition is None:
            yield Issue.at("condition")

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
