"""What is missing before a flow may be activated, and what its author may want to look at.

Drafts may be incomplete. Every step and trigger reports its own issues; what concerns the graph
as a whole is found here. Dialects phrase what is found in the words of their documents.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from libs.domain.contact import FieldType
from libs.domain.flow import Definition
from libs.domain.inventory import Inventory
from libs.domain.issue import Issue
from libs.domain.predicates import fits
from libs.domain.rules import (
    NO_OPERAND,
    OPERATORS,
    AnyRule,
    CustomFieldCondition,
    EmailStep,
    ListMembership,
    nodes_through,
)
from libs.domain.step import Step

Graph = Mapping[str, list[str]]


@dataclass(frozen=True, slots=True)
class Readiness:
    """Whether a flow may be activated: what is missing, and what only deserves a look."""

    missing: tuple[Issue, ...]
    warnings: tuple[Issue, ...]

    @property
    def ready(self) -> bool:
        """True if nothing is missing; warnings do not count."""
        return not self.missing


def readiness(flow: Definition, inventory: Inventory) -> Readiness:
    """Check a whole definition."""
    missing = [
        *_triggers(flow, inventory),
        *_guards(flow, inventory),
        *_steps(flow, inventory),
        *_cycles(flow),
    ]
    return Readiness(tuple(dict.fromkeys(missing)), tuple(_warnings(flow, inventory)))


def _triggers(flow: Definition, inventory: Inventory) -> Iterator[Issue]:
    for index, trigger in enumerate(flow.triggers):
        yield from (issue.under("triggers", index) for issue in trigger.issues(inventory))


def _guards(flow: Definition, inventory: Inventory) -> Iterator[Issue]:
    for index, guard in enumerate(flow.guards):
        for issue in _rule(guard.rule, (), inventory):
            yield Issue(("guards", index, "rule"), issue.code)


def _steps(flow: Definition, inventory: Inventory) -> Iterator[Issue]:
    if not flow.steps:
        yield Issue.at("steps")
    ids = {step.step_id for step in flow.steps}
    mailing = {step.step_id for step in flow.steps if step.sends_email}
    for index, step in enumerate(flow.steps):
        issues = [
            *step.issues(inventory),
            *_dangling(step, ids),
            *_rule(step.rule(), mailing, inventory),
        ]
        yield from (issue.under("steps", index) for issue in issues)


def _dangling(step: Step, ids: Iterable[str]) -> Iterator[Issue]:
    """Name the edges that lead to a step that does not exist."""
    for edge, target in step.edges.items():
        if target is not None and target not in ids:
            yield Issue.at("edges", edge, code="unknown")


def _rule(rule: AnyRule | None, mailing: Iterable[str], inventory: Inventory) -> Iterator[Issue]:
    """Name a rule that asks about what does not exist, or in a way that nobody can judge.

    What is asked through a dynamic list counts as well.
    """
    for node in nodes_through(rule, inventory.segments) if rule else ():
        match node:
            case EmailStep() if node.step_id not in mailing:
                yield Issue.at("condition", code="unknown")
            case ListMembership():
                yield from _list(node, inventory)
            case CustomFieldCondition():
                yield from _custom_field(node, inventory)
            case _:
                continue


def _list(node: ListMembership, inventory: Inventory) -> Iterator[Issue]:
    if node.list_id in inventory.segments:
        if inventory.segments[node.list_id] is None:
            yield Issue.at("condition", code="not_judgeable")
    elif node.list_id not in inventory.lists:
        yield Issue.at("condition", code="unknown")


def _custom_field(node: CustomFieldCondition, inventory: Inventory) -> Iterator[Issue]:
    field = inventory.custom_fields.get(node.field_definition_id)
    if field is None:
        yield Issue.at("condition", code="unknown")
    elif not _is_judgeable(node, field.type):
        yield Issue.at("condition", code="not_judgeable")


def _is_judgeable(node: CustomFieldCondition, kind: FieldType) -> bool:
    if node.operator not in OPERATORS[kind]:
        return False
    return node.operator in NO_OPERAND or fits(kind, node.value)


def _graph(steps: Iterable[Step]) -> Graph:
    return {step.step_id: [target for target in step.edges.values() if target] for step in steps}


def _cycles(flow: Definition) -> Iterator[Issue]:
    """Name the steps that lie on a way round that takes no time: nobody would ever come to rest."""
    graph = _graph(step for step in flow.steps if not step.takes_time)
    for index, step in enumerate(flow.steps):
        if step.step_id in _reached_from(graph.get(step.step_id, []), graph):
            yield Issue.at("steps", index, code="endless_circle")


def _reached_from(start: Iterable[str], graph: Graph) -> set[str]:
    reached: set[str] = set()
    todo = list(start)
    while todo:
        step_id = todo.pop()
        if step_id not in reached and step_id in graph:
            reached.add(step_id)
            todo.extend(graph[step_id])
    return reached


def _warnings(flow: Definition, inventory: Inventory) -> Iterator[Issue]:
    if not flow.triggers:
        yield Issue.at("triggers", code="no_trigger")
    reachable = _reached_from([flow.steps[0].step_id] if flow.steps else [], _graph(flow.steps))
    for index, step in enumerate(flow.steps):
        if step.step_id not in reachable:
            yield Issue.at("steps", index, code="unreachable")
        if len(step.edge_names()) > 1 and not any(step.edges.values()):
            yield Issue.at("steps", index, "edges", code="leads_nowhere")
        yield from (issue.under("steps", index) for issue in step.warnings(inventory))
