"""Editing the steps of a flow one by one (seed 003, "Editing Steps"). Edges are never rewired."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from services.api.store import flows
from services.api.store.flows import Change, StoredFlow
from services.api.use_cases.app_context import AppContext
from services.api.use_cases.content import read_content
from services.api.use_cases.flows import check_editable, lock
from services.api.use_cases.problems import Problem, invalid, step_not_found

Steps = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Placement:
    """Where a step goes: at the start or the end, or beside another one."""

    at_start: bool = False
    before_step_id: str | None = None
    after_step_id: str | None = None


async def edit(
    app_context: AppContext, workspace_id: UUID, flow_id: UUID, change: Callable[[Steps], Steps]
) -> StoredFlow:
    """Change the list of steps.

    Raises:
        Problem: If there is no such flow, it may not be edited now, or the result is wrong.
    """
    async with app_context.relay.unit() as unit:
        flow = await lock(unit, workspace_id, flow_id)
        check_editable(flow, structure=True)
        steps = change([dict(step) for step in flow.content.get("steps", [])])
        content = {**flow.content, "steps": steps}
        read_content(content)
        next_one = Change(
            content=content, status=flow.status, published=False, now=app_context.clock.now()
        )
        return await flows.change(unit.tx, flow, next_one)


def inserted(steps: Steps, step: dict[str, Any], placement: Placement) -> Steps:
    """Insert a step.

    Raises:
        Problem: If the step beside which it is to go does not exist.
    """
    if placement.before_step_id is not None:
        at = _index(steps, placement.before_step_id)
    elif placement.after_step_id is not None:
        at = _index(steps, placement.after_step_id) + 1
    else:
        at = 0 if placement.at_start else len(steps)
    return [*steps[:at], step, *steps[at:]]


def merged(steps: Steps, step_id: str, partial: Mapping[str, Any]) -> Steps:
    """Merge a partial update into a step; null takes an optional field away.

    Raises:
        Problem: If there is no such step, or its id or type would change.
    """
    at = _index(steps, step_id)
    for fixed in ("step_id", "type"):
        if fixed in partial and partial[fixed] != steps[at][fixed]:
            raise invalid(f"step.{fixed}", "this field cannot be changed")
    step = {**steps[at], **partial}
    edges = {name for name in partial if name.endswith("_step_id")}
    kept = {name: value for name, value in step.items() if value is not None or name in edges}
    return [*steps[:at], kept, *steps[at + 1 :]]


def without(steps: Steps, step_id: str, repair: Mapping[str, Any] | None) -> Steps:
    """Delete a step; `repair` holds the step that takes over its incoming edges, or null.

    Raises:
        Problem: If there is no such step, or others point to it and nothing repairs that.
    """
    at = _index(steps, step_id)
    rest = [*steps[:at], *steps[at + 1 :]]
    pointing = [
        (step, name)
        for step in rest
        for name, target in step.items()
        if name.endswith("_step_id") and name != "step_id" and target == step_id
    ]
    if pointing and repair is None:
        message = f"Step {step_id} is still referenced by other steps"
        raise Problem("conflict", "campaign_flow_step_referenced", message)
    replacement = (repair or {}).get("replace_with_step_id")
    if replacement == step_id:
        raise invalid("repair_edges.replace_with_step_id", "this is the step to be deleted")
    if replacement is not None:
        _index(rest, replacement)
    for step, name in pointing:
        step[name] = replacement
    return rest


def _index(steps: Steps, step_id: str) -> int:
    for index, step in enumerate(steps):
        if step.get("step_id") == step_id:
            return index
    raise step_not_found(step_id)
