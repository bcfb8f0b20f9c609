"""What is missing before a flow may be activated, and what its author may want to look at.

Drafts may be incomplete (seed 003). The paths follow the seed's one example,
`flow_nodes.0.email_approval`: the number is the step's place in the list.
"""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from libs.domain.contact import CustomField
from libs.domain.flow import FlowContent
from libs.domain.rules import AnyRule, CustomFieldCondition, EmailStep, ListMembership, nodes_of
from libs.domain.steps.send_email import SendEmailStep
from libs.domain.steps.step import Step
from libs.domain.steps.wait import WaitStep
from libs.domain.triggers.added_to_static_list import AddedToStaticList


@dataclass(frozen=True, slots=True)
class Inventory:
    """What exists in the workspace, of the things a flow may name."""

    emails: Mapping[UUID, Literal["draft", "approved"]]
    lists: frozenset[UUID]
    custom_fields: Mapping[UUID, CustomField]


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
        for field in trigger.missing():
            yield f"triggers.{index}.{field}"
        if isinstance(trigger, AddedToStaticList) and trigger.list_id not in inventory.lists:
            yield f"triggers.{index}.list_id"


def _steps(flow: FlowContent, inventory: Inventory) -> Iterator[str]:
    if not flow.steps:
        yield "flow_nodes"
    ids = {step.step_id for step in flow.steps}
    mailing = {step.step_id for step in flow.steps if isinstance(step, SendEmailStep)}
    for index, step in enumerate(flow.steps):
        problems = [
            *step.missing(),
            *_email(step, inventory),
            *_dangling(step, ids),
            *_rule(step.rule(), mailing, inventory),
        ]
        yield from (f"flow_nodes.{index}.{problem}" for problem in problems)


def _email(step: Step, inventory: Inventory) -> Iterator[str]:
    if isinstance(step, SendEmailStep) and step.email_id is not None:
        status = inventory.emails.get(step.email_id)
        if status is None:
            yield "email_id"
        elif status != "approved":
            yield "email_approval"


def _dangling(step: Step, ids: Iterable[str]) -> Iterator[str]:
    for field, target in step.edges().items():
        if target is not None and target not in ids:
            yield field


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


def _cycles(flow: FlowContent) -> Iterator[str]:
    """Name the steps that lie on a way round without a wait: nobody would ever come to rest."""
    graph = {
        step.step_id: [target for target in step.edges().values() if target]
        for step in flow.steps
        if not isinstance(step, WaitStep)
    }
    for index, step in enumerate(flow.steps):
        if step.step_id in _reached_from(graph.get(step.step_id, []), graph):
            yield f"flow_nodes.{index}.cycle"


def _reached_from(start: Iterable[str], graph: Mapping[str, list[str]]) -> set[str]:
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
    graph = {
        step.step_id: [target for target in step.edges().values() if target] for step in flow.steps
    }
    reachable = _reached_from([flow.steps[0].step_id] if flow.steps else [], graph)
    for index, step in enumerate(flow.steps):
        if step.step_id not in reachable:
            yield f"flow_nodes.{index}.unreachable"
