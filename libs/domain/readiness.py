"""What is missing before a flow may be activated, and what its author may want to look at.

Drafts may be incomplete. Every step and trigger reports its own problems; what concerns the graph
as a whole is found here. Paths look like `flow_nodes.0.email_approval`: the number is the step's
place in the list.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from libs.domain.flow import FlowContent
from libs.domain.inventory import Inventory
from libs.domain.rules import AnyRule, CustomFieldCondition, EmailStep, ListMembership, nodes_of
from libs.domain.step import Step

Graph = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a flow may be activated; `missing` and `warnings` are paths into it."""

    missing: tuple[str, ...]
    warnings: tuple[str, ...]

    @property
    def ready(self) -> bool:
        """True if nothing is missing; warnings do not count."""
        return not self.missing


def readiness(flow: FlowContent, inventory: Inventory) -> Readiness:
    """Check a whole definition."""
    missing = [*_triggers(flow, inventory), *_steps(flow, inventory), *_cycles(flow)]
    return Readiness(tuple(dict.fromkeys(missing)), tuple(_warnings(flow)))


def _triggers(flow: FlowContent, inventory: Inventory) -> Iterator[str]:
    for index, trigger in enumerate(flow.triggers):
        yield from (f"triggers.{index}.{path}" for path in trigger.problems(inventory))


def _steps(flow: FlowContent, inventory: Inventory) -> Iterator[str]:
    if not flow.steps:
        yield "flow_nodes"
    ids = {step.step_id for step in flow.steps}
    mailing = {step.step_id for step in flow.steps if step.sends_email}
    for index, step in enumerate(flow.steps):
        problems = [
            *step.problems(inventory),
            *_dangling(step, ids),
            *_rule(step.rule(), mailing, inventory),
        ]
        yield from (f"flow_nodes.{index}.{problem}" for problem in problems)


def _dangling(step: Step, ids: Iterable[str]) -> Iterator[str]:
    """Name the edges that lead to a step that does not exist, wherever in the step they stand."""
    for edge in step.edges():
        if edge.target is not None and edge.target not in ids:
            yield edge.path


def _rule(rule: AnyRule | None, mailing: Iterable[str], inventory: Inventory) -> Iterator[str]:
    for node, _ in nodes_of(rule) if rule else ():
        match node:
            case EmailStep() if node.node_id not in mailing:
                yield "condition"
            case ListMembership() if node.list_id not in inventory.lists:
                yield "condition"
            case CustomFieldCondition() if node.field_definition_id not in inventory.custom_fields:
                yield "condition"
            case _:
                continue


def _graph(steps: Iterable[Step]) -> Graph:
    return {step.step_id: [edge.target for edge in step.edges() if edge.target] for step in steps}


def _cycles(flow: FlowContent) -> Iterator[str]:
    """Name the steps that lie on a way round that takes no time: nobody would ever come to rest."""
    graph = _graph(step for step in flow.steps if not step.takes_time)
    for index, step in enumerate(flow.steps):
        if step.step_id in _reached_from(graph.get(step.step_id, []), graph):
            yield f"flow_nodes.{index}.cycle"


def _reached_from(start: Iterable[str], graph: Graph) -> set[str]:
    reached: set[str] = set()
    todo = list(start)
    while todo:
        step_id = todo.pop()
        if step_id not in reached and step_id in graph:
            reached.add(step_id)
            todo.extend(graph[step_id])
    return reached


def _warnings(flow: FlowContent) -> Iterator[str]:
    if not flow.triggers:
        yield "triggers"
    reachable = _reached_from([flow.steps[0].step_id] if flow.steps else [], _graph(flow.steps))
    for index, step in enumerate(flow.steps):
        if step.step_id not in reachable:
            yield f"flow_nodes.{index}.unreachable"
